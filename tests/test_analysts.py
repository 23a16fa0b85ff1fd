"""Analysts: the SQL that makes them, and that they see the rows of their tenant alone, whatever they try."""

import asyncio
import json
import os
import re
from collections.abc import Iterator

import pytest

from app.domain.analysts import make_analyst
from app.domain.sites import site_key
from app.settings import Settings
from app.store.analysts import ADD, COPY, REMOVE, ROLE
from app.store.engine import EngineError
from app.store.statements import Statement, load_statements, with_identifiers
from app.store.versions import shows_hidden_keys
from app.wiring import create_store
from tests.conftest import MakeApi
from tests.kit.service import run_here
from tests.kit.users import DATABASE, UsersServer, policies, rights, text_of, users_server, users_xml
from tests.test_cli import refused

COMMAND = os.environ.get("PULSEHOUSE_TEST_USERS_CLICKHOUSE", "")
"""A command that runs a ClickHouse server of its own in the foreground, with {port}, {path} and {users}."""
needs_users = pytest.mark.skipif(
    not COMMAND, reason="PULSEHOUSE_TEST_USERS_CLICKHOUSE names no command that runs a server with users of its own"
)
STATEMENTS = load_statements()
HOSTILE_NAMES = [
    "plain",
    "with-dash",
    "a`b",
    "a\\`b",
    "a\\",
    "x` TO everybody -- ",
    "'",
    "{database:Identifier}",
    "日本",
]


# The SQL.


@pytest.mark.parametrize("database", HOSTILE_NAMES)
async def test_the_statements_are_understood_whatever_the_database_is_called(make_api: MakeApi, database: str) -> None:
    api = await make_api()
    fetch = api.store.engine.fetch
    names = {"database": database, "own": database, "sites": database, "analyst": "ann", "service": database}
    for name in (*ADD, *REMOVE, *COPY):
        statement = with_identifiers(STATEMENTS[f"analysts/{name}"], names)
        given = {"name": "ann", "tenant": "acme", "password_sha256": "0" * 64}
        used = {name: value for name, value in given.items() if f"{{{name}:String}}" in statement.text}
        assert await fetch(Statement("test", f"EXPLAIN AST {statement.text}"), used), name
    quoted = with_identifiers(
        Statement("test", "SELECT 1 AS {database:Identifier} FORMAT JSON"), {"database": database}
    )
    assert json.loads(await fetch(quoted))["meta"][0]["name"] == database


async def test_the_script_sets_what_it_is_given_and_runs_what_apply_runs(make_api: MakeApi) -> None:
    api = await make_api()
    tenant = "ac'me\\'; DROP TABLE sites; --"
    analyst = make_analyst("ann", tenant)
    script = api.store.analysts.script_to_add(analyst)
    ((literal),) = re.findall(r"^SET param_tenant = (.+);$", script, re.MULTILINE)
    assert json.loads(await api.store.engine.fetch(Statement("test", f"SELECT {literal} AS t FORMAT JSON")))[
        "data"
    ] == [{"t": tenant}]
    assert analyst.password not in script
    assert script.startswith(f"USE `{api.store.engine.database}`;\n")
    ran: list[str] = []

    async def execute(statement: Statement, parameters: object = None) -> None:
        ran.append(statement.text)

    api.store.engine.execute = execute  # type: ignore[method-assign, assignment]
    await api.store.analysts.add(analyst)
    assert "".join(f"\n{text.rstrip()};\n" for text in ran) == "\n" + script.partition("\n\n")[2]


async def test_nobody_gets_a_right_before_its_policy_and_every_table_has_one(make_api: MakeApi) -> None:
    api = await make_api()
    kinds = dict(
        line.split("\t")
        for line in (
            await api.select("SELECT name, engine FROM system.tables WHERE database = currentDatabase()")
        ).splitlines()
    )
    granted = {right.rpartition(".")[2] for right in rights()}
    assert {name for name in granted if kinds[name].endswith("MergeTree")} == policies().keys()
    assert {name for name, kind in kinds.items() if kind == "View"} <= granted
    assert granted.isdisjoint({"api_keys", "salts", "schema_migrations"})
    # No right without its policies, and none of these that could hide rows from the service.
    assert ROLE[-1] == "rights"
    named = re.findall(r"\.(\w+)", text_of("all_rows").partition("USING")[0])
    assert set(named) == policies().keys()
    assert ROLE.index("all_rows") < min(ROLE.index(name) for name in ROLE if "RESTRICTIVE" in text_of(name))
    assert "TO `default`, pulsehouse_analyst" in api.store.analysts.script_to_make_role()
    assert ADD[len(ROLE) :] == ("user", "unassign", "assign")


async def test_an_analyst_is_assigned_to_one_tenant_and_unassigned(make_api: MakeApi) -> None:
    api = await make_api()
    analysts = api.store.analysts
    for tenant in ("acme", "rival"):
        for name in ("unassign", "assign"):
            await api.store.engine.execute(STATEMENTS[f"analysts/{name}"], {"name": "ann", "tenant": tenant})
    assert [(row.name, row.tenant) for row in await analysts.everybody()] == [("ann", "rival")]
    await api.store.engine.execute(STATEMENTS["analysts/unassign"], {"name": "ann"})
    assert await analysts.everybody() == []


async def test_the_embedded_engine_has_no_users(make_api: MakeApi) -> None:
    api = await make_api()
    with pytest.raises(EngineError) as refusal:
        await api.store.analysts.add(make_analyst("ann", "acme"))
    assert refusal.value.code in (497, 514)  # so does the server of the tests, where it has no directory for users
    assert await api.store.analysts.everybody() == []


@pytest.mark.parametrize(
    ("version", "take"),
    [
        ("26.2.1.1", "26.8"),
        ("26.3.22.5", "26.3.22.6"),
        ("26.3.22.6", None),
        ("26.4.99.1", "26.8"),
        ("26.5.8.17", "26.5.8.18"),
        ("26.5.8.18", None),
        ("26.6.4.9", "26.6.4.10"),
        ("26.6.4.10", None),
        ("26.7.6.4\n", "26.7.6.5"),
        ("26.7.6.5", None),
        ("26.8.1.1", None),
        ("27.1.1.1", None),
    ],
)
def test_a_version_that_shows_hidden_keys_is_named_with_the_one_to_take(version: str, take: str | None) -> None:
    shown = shows_hidden_keys(version)
    assert shown is None if take is None else f"take {take} or later" in str(shown)


def test_what_is_printed_needs_no_database() -> None:
    url = "http://n%20body:x@127.0.0.1:1/stats"
    printed = run_here("analyst", "add", "ann", "--tenant", "acme", clickhouse_url=url)
    assert printed.returncode == 0
    assert printed.stdout.startswith("USE `stats`;\n")
    assert "CREATE USER `ann` " in printed.stdout
    assert re.fullmatch(r"once this SQL has run .+ ann, who sees acme; .+:\n\S{32}\n", printed.stderr)
    as_json = json.loads(run_here("analyst", "add", "ann", "--tenant", "acme", "--json", clickhouse_url=url).stdout)
    assert as_json.keys() == {"name", "tenant", "password", "sql"}
    role = run_here("analyst", "role", clickhouse_url=url)
    assert "TO `n body`, pulsehouse_analyst;\n" in role.stdout
    assert "CREATE USER" not in role.stdout
    removed = run_here("analyst", "remove", "ann", clickhouse_url=url)
    assert removed.stdout.endswith("DROP USER IF EXISTS `ann`;\n")
    for name in ("1ann", "a-b", "a`b", "", "a" * 64):
        wrong = refused(run_here("analyst", "add", name, "--tenant", "acme", clickhouse_url=url), 2)
        assert "NAME: use 1 to 63 letters, digits and _, no digit first" in wrong
    assert "--tenant: must not be blank" in refused(
        run_here("analyst", "add", "ann", "--tenant", " ", clickhouse_url=url), 2
    )


def test_what_is_printed_for_a_cluster_says_where_each_part_is_to_run() -> None:
    settings = {"clickhouse_url": "http://x@127.0.0.1:1/stats,http://x@127.0.0.1:2/stats", "clickhouse_cluster": "all"}
    printed = run_here("analyst", "add", "ann", "--tenant", "acme", **settings).stdout
    everywhere, first = printed.split("-- On one node of the first shard:\n")
    assert everywhere.startswith("-- On every node of the cluster:\nUSE `stats`;\n")
    assert "CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON `stats_local`.signals" in everywhere
    assert "site_id IN (SELECT id FROM `stats_local`.`analyst_sites`)" in everywhere
    assert "SELECT ON `stats`.live_pages" in everywhere
    assert "CREATE USER `ann` " in everywhere
    assert first.startswith("USE `stats_local`;\n")
    assert "INSERT INTO analysts" in first
    removed = run_here("analyst", "remove", "ann", **settings).stdout
    assert removed.index("DELETE FROM analysts") < removed.index("-- On every node") < removed.index("DROP USER")


# What they see.

LIVE = "now = now('UTC')"
SPAN = "first = now('UTC') - INTERVAL 1 HOUR"
SECRETS = ("site_rival", "rival", str(site_key("site_rival")), "/rival-secret", "rival.example", "RivalCorp")

ATTEMPTS = {
    "all signals": "SELECT * FROM signals",
    "the other site's signals": "SELECT page FROM signals WHERE site_id = 'site_rival'",
    "pageviews": "SELECT * FROM pageviews",
    "minutes": "SELECT toString(site), latest FROM visitor_minutes",
    "minutes by key": f"SELECT latest FROM visitor_minutes WHERE site = toUInt128('{site_key('site_rival')}')",
    "sites": "SELECT id, tenant, name, domains FROM sites",
    "sites, final": "SELECT id FROM sites FINAL",
    "sites, counted by tenant": "SELECT tenant, count() FROM sites GROUP BY tenant",
    "analysts": "SELECT name, tenant FROM analysts",
    "live pages": f"SELECT * FROM live_pages(site = 'site_rival', {LIVE})",
    "live visitors": f"SELECT * FROM live_visitors(site = 'site_rival', {LIVE})",
    "live minutes": f"SELECT latest FROM live_minutes(site = 'site_rival', {SPAN}, {LIVE})",
    "sites now": f"SELECT * FROM sites_now({LIVE})",
    "sessions": f"SELECT * FROM sessions(site = 'site_rival', {SPAN}, until = now('UTC') + 60)",
    "union": "SELECT page FROM signals WHERE site_id = 'site_acme' UNION ALL SELECT page FROM signals",
    "join": "SELECT s.id, p.page FROM sites AS s JOIN signals AS p ON p.site_id = s.id",
    "cross join": "SELECT b.page FROM signals AS a CROSS JOIN signals AS b",
    "a name of its own for sites": "WITH sites AS (SELECT 'site_rival' AS id) SELECT page FROM pulsehouse.signals",
    "a name of its own for analysts": "WITH analysts AS (SELECT 'rival' AS tenant) SELECT id FROM pulsehouse.sites",
    "a name of its own for currentUser": "WITH () -> 'bea' AS currentUser SELECT page FROM signals",
    "an alias like the column": "SELECT 'site_acme' AS site_id, page FROM signals",
    "prewhere": "SELECT page FROM signals PREWHERE site_id != ''",
    "where with or": "SELECT page FROM signals WHERE site_id = 'site_acme' OR 1",
    "merge()": "SELECT page FROM merge('pulsehouse', '^signals$')",
    "merge() of several": "SELECT * FROM merge('pulsehouse', '^(signals|pageviews)$')",
    "min": "SELECT min(page), max(page) FROM signals",
    "distinct": "SELECT DISTINCT site_id FROM signals",
    "top": "SELECT topK(100)(page) FROM signals",
    "any of a group": "SELECT site_id, any(page) FROM signals GROUP BY site_id",
    "window": "SELECT lagInFrame(page) OVER (ORDER BY timestamp), page FROM signals",
    "scalar": "SELECT (SELECT groupArray(page) FROM signals)",
    "in a subquery": "SELECT arrayJoin(['/rival-secret', '/x']) AS p WHERE p IN (SELECT page FROM signals)",
    "a sample of rows": "SELECT page FROM signals ORDER BY rand() LIMIT 1000",
    "final": "SELECT latest FROM visitor_minutes FINAL",
    "without the index": "SELECT page FROM signals SETTINGS use_skip_indexes = 0, optimize_move_to_prewhere = 0",
    "policies after final": "SELECT latest FROM visitor_minutes FINAL SETTINGS apply_row_policy_after_final = 1",
    "deleted rows": "SELECT page FROM signals SETTINGS apply_deleted_mask = 0",
    "another tenant's user name": "SELECT page FROM signals SETTINGS log_comment = 'bea'",
    "describe by query": "SELECT * FROM (SELECT * FROM signals LIMIT 1000) ORDER BY site_id DESC",
    "limit by": "SELECT site_id, page FROM signals LIMIT 1 BY site_id",
    "values in minutes": "SELECT arrayJoin(groupUniqArray(substring(latest, 19))) FROM visitor_minutes",
    "the feed": "SELECT arrayJoin(groupArraySortedMerge(10)(newest_state)) FROM recent_pageviews",
    "keys": "SELECT tenant FROM api_keys",
    "loop()": "SELECT page FROM loop('pulsehouse', 'signals') LIMIT 10",
    "remote()": "SELECT page FROM remote('127.0.0.1', 'pulsehouse', 'signals')",
    "view()": "SELECT * FROM view(SELECT page FROM pulsehouse.signals)",
    "policies": "SELECT select_filter, 'rival' FROM system.row_policies",
    "users": "SELECT name, 'rival' FROM system.users",
    "processes": "SELECT query, 'rival' FROM system.processes",
    "parts": "SELECT partition, 'rival' FROM system.parts",
}  # fmt: skip
"""Each shows an administrator something of the other tenant."""

ORACLES = {
    "throwIf in SELECT": "SELECT throwIf(site_id = 'site_rival') FROM signals",
    "throwIf in WHERE": "SELECT count() FROM signals WHERE NOT ignore(throwIf(site_id = 'site_rival'))",
    "throwIf in PREWHERE": "SELECT count() FROM signals PREWHERE NOT throwIf(page = '/rival-secret')",
    "division": "SELECT intDiv(1, toUInt8(site_id != 'site_rival')) FROM signals",
    "throwIf on a site": "SELECT throwIf(tenant = 'rival') FROM sites",
    "a number that is none": "SELECT toUInt8(if(site_id = 'site_rival', 'x', '1')) FROM signals",
}
"""Each fails for an administrator, by what it meets at the other tenant."""

NUMBERS = {
    "SELECT count() FROM signals": "2",
    "SELECT count() FROM signals SETTINGS optimize_trivial_count_query = 1": "2",
    "SELECT count() FROM pageviews": "2",
    "SELECT sum(pageviews) FROM visitor_minutes": "2",
    "SELECT uniqExact(visitor_id) FROM signals": "2",
    "SELECT max(visitor_id) FROM signals": "2",
    "SELECT count() FROM sites": "1",
    "SELECT count() FROM signals WHERE site_id = 'site_rival'": "0",
    f"SELECT sum(active_visitors) FROM live_history(site = 'site_rival', {SPAN}, {LIVE})": "0",
    f"SELECT sum(visitors) FROM hourly_history(site = 'site_rival', {SPAN}, {LIVE}, zone = 'UTC')": "0",
    f"SELECT sum(visitors) FROM sites_now({LIVE})": "2",
}
"""What an analyst of acme counts; an administrator counts more."""

CHANGES = [
    "INSERT INTO analysts (name, tenant) VALUES ('ann', 'rival')",
    "INSERT INTO sites (id, tenant) VALUES ('site_rival', 'acme')",
    "DELETE FROM analysts WHERE 1",
    "ALTER TABLE sites UPDATE tenant = 'acme' WHERE 1",
    "CREATE VIEW v SQL SECURITY NONE AS SELECT * FROM signals",
    "CREATE TEMPORARY TABLE sites (id String)",
    "CREATE DATABASE mine",
    "DROP ROW POLICY ann ON signals",
    "GRANT SELECT ON pulsehouse.* TO ann",
    "ALTER USER ann SETTINGS readonly = 0",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "SELECT * FROM url('http://127.0.0.1:1/', CSV)",
    "SELECT * FROM file('x', CSV)",
    "SELECT * FROM executable('x', CSV, 'a String')",
]
"""What an analyst may not."""

LIMITS = [
    "readonly=0",
    "readonly=1",
    "max_execution_time=0",
    "max_execution_time=61",
    "max_memory_usage=0",
    "max_memory_usage=2000000000",
    "max_rows_to_read=0",
    "max_threads=64",
    "max_concurrent_queries_for_user=0",
    "os_threads_nice_value_query=0",
    "max_memory_usage_for_user=0",
    "timeout_overflow_mode=break",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersServer]:
    """Two tenants, and of users: ann of acme, bea of rival, nil of none; raw, all and open, which are made wrongly."""
    others = {
        "raw": f"<databases><{DATABASE}><signals><filter>site_id = 'x'</filter></signals></{DATABASE}></databases>",
        "all": f"<databases><{DATABASE}><signals><filter>1</filter></signals></{DATABASE}></databases>"
        f"<grants><query>GRANT SELECT ON {DATABASE}.signals</query></grants>",
        "open": f"<grants><query>GRANT SELECT ON {DATABASE}.signals</query></grants>",
    }
    folder = tmp_path_factory.mktemp("users")
    with users_server(COMMAND, folder, users_xml(["ann", "bea", "nil"], others)) as server:
        asyncio.run(prepare(server.url))
        for sql in (
            "INSERT INTO sites (id, tenant, domains, name) VALUES "
            "('site_acme', 'acme', ['acme.example'], 'Acme'), ('site_rival', 'rival', ['rival.example'], 'RivalCorp')",
            "INSERT INTO analysts (name, tenant) VALUES ('ann', 'acme'), ('bea', 'rival')",
            "INSERT INTO api_keys (id, tenant, token_sha256, scope) VALUES ('key_1', 'rival', repeat('0', 64), 'read')",
            "INSERT INTO signals (site_id, timestamp, type, visitor_id, page) SELECT "
            "site, now64(6), 'pageview', visitor, page FROM values('site String, visitor UInt64, page String', "
            "('site_acme', 1, '/a'), ('site_acme', 2, '/b'), ('site_rival', 3, '/rival-secret'), "
            "('site_rival', 4, '/rival-secret'), ('site_rival', 5, '/rival-secret'))",
        ):
            server.select(sql)
        yield server


async def prepare(url: str) -> None:
    store = create_store(Settings(clickhouse_url=url))
    await store.prepare()
    await store.close(0)


def shown(answer: tuple[int, str]) -> list[str]:
    """The secrets that an answer gives away."""
    return [secret for secret in SECRETS if secret in answer[1]]


@needs_users
@pytest.mark.parametrize("sql", ATTEMPTS.values(), ids=ATTEMPTS)
def test_an_attempt_shows_nothing_of_another_tenant(server: UsersServer, sql: str) -> None:
    assert shown(server.ask(sql)), "no attempt at all: an administrator sees nothing either"
    for user in ("ann", "nil"):
        status, body = server.ask(sql, user)
        # What a refusal repeats is what was asked.
        assert shown((status, body if status == 200 else body.replace(sql, ""))) == [] or "ACCESS_DENIED" in body
        assert status == 200 or "ACCESS_DENIED" in body or "UNKNOWN_" in body, body


@needs_users
@pytest.mark.parametrize("sql", ORACLES.values(), ids=ORACLES)
def test_no_error_tells_of_another_tenant(server: UsersServer, sql: str) -> None:
    assert server.ask(sql)[0] != 200
    for user in ("ann", "nil"):
        assert server.ask(sql, user)[0] == 200


@needs_users
@pytest.mark.parametrize(("sql", "count"), NUMBERS.items())
def test_only_the_tenants_rows_are_counted(server: UsersServer, sql: str, count: str) -> None:
    assert server.select(sql, "ann") == count
    assert server.select(sql) != count
    assert server.select(sql, "nil") == "0"


@needs_users
@pytest.mark.parametrize("sql", CHANGES)
def test_an_analyst_changes_nothing_and_reaches_nothing_else(server: UsersServer, sql: str) -> None:
    status, body = server.ask(sql, "ann")
    assert status != 200
    assert "ACCESS_DENIED" in body or "READONLY" in body or "UNKNOWN_TABLE" in body, body


@needs_users
@pytest.mark.parametrize("setting", LIMITS)
def test_a_limit_cannot_be_lifted(server: UsersServer, setting: str) -> None:
    status, body = server.ask("SELECT 1", "ann", settings=f"&{setting}")
    assert status != 200, body
    assert "SETTING_CONSTRAINT_VIOLATION" in body or "READONLY" in body, body


@needs_users
def test_what_tools_set_is_allowed(server: UsersServer) -> None:
    for settings in (
        "&max_execution_time=60",
        "&max_result_rows=1000000&result_overflow_mode=break",
        "&join_use_nulls=1",
        "&session_timezone=Europe/Berlin",
    ):
        assert server.ask("SELECT count() FROM signals", "ann", settings=settings) == (200, "2")


@needs_users
def test_every_view_answers_an_analyst(server: UsersServer) -> None:
    site = "site = 'site_acme'"
    for view in (
        f"live_pages({site}, {LIVE})",
        f"live_sources({site}, {LIVE})",
        f"live_countries({site}, {LIVE})",
        f"live_history({site}, {SPAN}, {LIVE})",
        f"hourly_history({site}, {SPAN}, {LIVE}, zone = 'Europe/Berlin')",
        f"sites_now({LIVE})",
        f"sessions({site}, {SPAN}, until = now('UTC') + 60)",
        f"live_visitors({site}, {LIVE})",
        "pageviews",
    ):
        assert server.select(f"SELECT count() > 0 FROM {view}", "ann") == "1", view


@needs_users
def test_from_another_database_the_policies_hold(server: UsersServer) -> None:
    assert server.ask("SELECT count() FROM pulsehouse.signals", "ann", database="default") == (200, "2")


@needs_users
def test_a_new_site_is_seen_at_once_by_its_tenant_alone(server: UsersServer) -> None:
    server.select("INSERT INTO sites (id, tenant, name) VALUES ('site_new', 'rival', 'new')")
    server.select(
        "INSERT INTO signals (site_id, timestamp, type, visitor_id, page) "
        "VALUES ('site_new', now64(6), 'event', 9, '/new')"
    )
    count = "SELECT count() FROM signals WHERE site_id = 'site_new'"
    assert [server.select(count, user) for user in ("ann", "bea", "nil")] == ["0", "1", "0"]


@needs_users
def test_the_primary_index_shows_hidden_keys_only_on_the_versions_named(server: UsersServer) -> None:
    sql = "SELECT groupUniqArray(site_id) FROM mergeTreeIndex('pulsehouse', 'signals')"
    assert bool(shown(server.ask(sql, "ann"))) == bool(shows_hidden_keys(server.select("SELECT version()")))


@needs_users
def test_the_audit_names_what_breaks_the_promise(server: UsersServer) -> None:
    def audit() -> list[tuple[str, str, str]]:
        result = run_here("analyst", "audit", "--json", clickhouse_url=server.url)
        assert result.returncode == 1
        found = [tuple(one.values()) for one in json.loads(result.stdout)]
        return [one for one in found if one[0] != "shows_hidden_keys"]

    server.select("CREATE VIEW leak SQL SECURITY NONE AS SELECT * FROM signals")
    server.select("INSERT INTO analysts (name, tenant) VALUES ('gone', 'acme'), ('nil', 'acme'), ('nil', 'rival')")
    found = audit()
    more = [what for finding, who, what in found if (finding, who) == ("more_than_reading", "raw")]
    assert len(more) == 1
    assert "REMOTE" in more[0]
    all_tables = server.select(
        "SELECT arrayStringConcat(arraySort(groupArray(name)), ', ') FROM system.tables "
        f"WHERE database = '{DATABASE}' AND engine LIKE '%MergeTree' AND name != 'signals'"
    )
    assert [one for one in found if one[0] != "more_than_reading"] == [
        ("no_policy", "all", "signals"),
        ("no_policy", "open", "signals"),
        ("no_policy", "raw", all_tables),
        ("no_user", "gone", "acme"),
        ("open_view", "raw", "leak"),
        ("several_tenants", "nil", "acme, rival"),
    ]
    server.select("DROP VIEW leak")
    server.select("DELETE FROM analysts WHERE name IN ('gone', 'nil')")
    assert [one[0] for one in audit()] == ["more_than_reading", "no_policy", "no_policy", "no_policy"]
    lines = run_here("analyst", "audit", clickhouse_url=server.url).stdout.splitlines()
    assert "open sees the rows of all tenants in signals; right for an operator, else" in "\n".join(lines)


@needs_users
def test_analysts_are_listed(server: UsersServer) -> None:
    listed = json.loads(run_here("analyst", "list", "--json", clickhouse_url=server.url).stdout)
    assert [(row["name"], row["tenant"]) for row in listed] == [("ann", "acme"), ("bea", "rival")]
    assert run_here("analyst", "list", clickhouse_url=server.url).stdout.split()[:3] == ["name", "tenant", "added"]
    missing = refused(run_here("analyst", "remove", "x", "--apply", clickhouse_url=server.url), 1)
    assert missing == "no analyst x; see: pulsehouse analyst list"
    nobody = refused(run_here("analyst", "add", "x", "--tenant", "nobody", "--apply", clickhouse_url=server.url), 1)
    assert nobody == "tenant nobody has no sites; see: pulsehouse site list"
