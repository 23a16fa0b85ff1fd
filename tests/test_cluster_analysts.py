"""Analysts on a cluster: whichever node they ask, they see the rows of their tenant alone."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.domain.analysts import make_analyst
from app.domain.errors import StartupError
from app.settings import Settings
from app.store.analysts import COPY, ROLE, AnalystRow, Done
from app.store.cluster import OWN
from app.store.engine import EngineError
from app.store.statements import Statement, load_statements, with_identifiers
from app.store.store import Store
from app.wiring import create_store
from tests.kit.service import run_here
from tests.kit.users import DATABASE, ON_CLUSTER, UsersServer, policies, rights, users_cluster, users_xml
from tests.kit.waiting import wait_until
from tests.test_analysts import ATTEMPTS, COMMAND, LIVE, NUMBERS, SPAN, shown

pytestmark = pytest.mark.skipif(
    "{config}" not in COMMAND or "PULSEHOUSE_TEST_CLUSTER_URLS" not in os.environ,
    reason="runs with the other tests of clusters, where PULSEHOUSE_TEST_USERS_CLICKHOUSE names a command for servers "
    "with users and a cluster of their own",
)
STATEMENTS = load_statements()
SITES = ("site_acme", "site_rival", "site_1", "site_2", "site_3", "site_4", "site_5", "site_6")
"""On both shards; those with an even number are acme's."""
ANALYSTS = ["ann", "bea", "nil"]


def settings_of(nodes: list[UsersServer]) -> dict[str, str]:
    return {"clickhouse_url": ",".join(node.url for node in nodes), "clickhouse_cluster": DATABASE}


def tenant_of(site_id: str) -> str:
    return "acme" if site_id[-1] in "e246" else "rival"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[UsersServer]]:
    """Two shards that know the secret of their cluster, with signals of two tenants on both."""
    users = users_xml(ANALYSTS, {}, ON_CLUSTER)
    with users_cluster(COMMAND, tmp_path_factory.mktemp("cluster"), [users, users], secret="of the tests") as nodes:
        asyncio.run(fill(settings_of(nodes)))
        copy_sites(nodes)
        yield nodes


def copy_sites(nodes: list[UsersServer]) -> None:
    """Have each node know the sites of the analysts."""
    for name in COPY[:2]:
        for node in nodes:
            node.select(with_identifiers(STATEMENTS[f"analysts/{name}"], ON_CLUSTER).text)
    copied = f"SELECT uniqExact(analyst, id) FROM {DATABASE}{OWN}.analyst_sites"
    wait_until(lambda: all(node.select(copied) == str(len(SITES)) for node in nodes))


async def fill(settings: dict[str, str]) -> None:
    store = create_store(Settings(**settings))  # type: ignore[arg-type]
    await store.prepare()
    assert store.cluster
    for site_id in SITES:
        await store.tenants.add_site(
            site_id, tenant_of(site_id), ["example.com"], "RivalCorp" if tenant_of(site_id) == "rival" else "Acme"
        )
    for name, tenant in (("ann", "acme"), ("bea", "rival")):
        await store.engine.execute(STATEMENTS["analysts/assign"], {"name": name, "tenant": tenant})
    rows = [
        {"site_id": site_id, "timestamp": "now", "type": "pageview", "visitor_id": number, "page": page}
        for number, (site_id, page) in enumerate(
            [(site_id, "/rival-secret" if tenant_of(site_id) == "rival" else "/a") for site_id in SITES]
        )
    ]
    for row in rows:
        sql = (
            "INSERT INTO signals (site_id, timestamp, type, visitor_id, page) "
            f"VALUES ('{row['site_id']}', now64(6), 'pageview', {row['visitor_id']}, '{row['page']}')"
        )
        await store.cluster.lane(0).execute(Statement("test", sql))
    await store.close(0)


def test_both_shards_have_sites_of_both_tenants(nodes: list[UsersServer]) -> None:
    tenants = f"SELECT uniqExact(page) FROM {DATABASE}{OWN}.signals"
    assert [node.select(tenants) for node in nodes] == ["2", "2"]


def test_any_node_shows_an_analyst_the_rows_of_their_tenant_on_all_shards(nodes: list[UsersServer]) -> None:
    for node in nodes:
        for user, tenant in (("ann", "acme"), ("bea", "rival")):
            own = sorted(site_id for site_id in SITES if tenant_of(site_id) == tenant)
            for sql in (
                "SELECT arrayStringConcat(arraySort(groupArray(site_id)), ' ') FROM signals",
                "SELECT arrayStringConcat(arraySort(groupArray(id)), ' ') FROM sites",
                f"SELECT arrayStringConcat(arraySort(groupArray(site_id)), ' ') FROM sites_now({LIVE})",
            ):
                assert node.select(sql, user) == " ".join(own), sql
            assert node.select("SELECT sum(pageviews) FROM visitor_minutes", user) == str(len(own))
        assert node.select("SELECT count() FROM signals", "nil") == "0"
        assert node.select("SELECT count() FROM signals") == str(len(SITES))
        assert node.select(f"SELECT name, tenant FROM {DATABASE}.analysts", "ann") == "ann\tacme"


def test_no_node_shows_anything_of_another_tenant(nodes: list[UsersServer]) -> None:
    local = {
        "a node's own signals": f"SELECT page, site_id FROM {DATABASE}{OWN}.signals",
        "a node's own minutes": f"SELECT toString(site), latest FROM {DATABASE}{OWN}.visitor_minutes",
        "a node's own copy": f"SELECT * FROM {DATABASE}{OWN}.analyst_sites",
        "what makes the copy": f"SELECT * FROM {DATABASE}{OWN}.analyst_sites_mv",
        "a node's own feed": f"SELECT finalizeAggregation(newest_state) FROM {DATABASE}{OWN}.recent_pageviews",
        "the cluster by its name": f"SELECT page FROM cluster('{DATABASE}', {DATABASE}{OWN}.signals)",
    }
    for node in nodes:
        for sql in (*ATTEMPTS.values(), *local.values()):
            for user in ("ann", "nil"):
                status, body = node.ask(sql, user)
                seen = shown((status, body if status == 200 else body.replace(sql, "")))
                assert seen == [] or "ACCESS_DENIED" in body, (sql, body)
                refusals = ("ACCESS_DENIED", "UNKNOWN_", "DISTRIBUTED_IN_JOIN_SUBQUERY_DENIED")
                assert status == 200 or any(refusal in body for refusal in refusals), (sql, body)


def test_every_view_answers_an_analyst_through_any_node(nodes: list[UsersServer]) -> None:
    for node in nodes:
        for site_id in ("site_2", "site_4", "site_6"):
            site = f"site = '{site_id}'"
            for view in (
                f"live_pages({site}, {LIVE})",
                f"live_history({site}, {SPAN}, {LIVE})",
                f"hourly_history({site}, {SPAN}, {LIVE}, zone = 'Europe/Berlin')",
                f"sessions({site}, {SPAN}, until = now('UTC') + 60)",
            ):
                assert node.select(f"SELECT count() > 0 FROM {view}", "ann") == "1", view


def test_each_table_that_holds_rows_has_a_policy_on_the_node_before_its_rights() -> None:
    granted = {right.rpartition(".")[2] for right in rights(ON_CLUSTER) if f"{DATABASE}{OWN}." in right}
    assert granted == policies(ON_CLUSTER).keys() == policies().keys() | {"analyst_sites"}
    assert all(DATABASE + OWN in text for text in policies(ON_CLUSTER).values() if "SELECT" in text)
    assert NUMBERS


# The commands.

REFUSED_HERE = {*(f"analysts/{name}" for name in (*ROLE, *COPY[2:], "user", "drop"))}
"""CREATE ROLE and what follows, which these servers do not take."""


class Noting:
    """Has a node note the statements about users in place of running them."""

    def __init__(self, node: Any) -> None:
        self.ran: list[str] = []
        self._execute = node.whole.execute
        node.whole.execute = self

    async def __call__(self, statement: Statement, *arguments: Any, **options: Any) -> None:
        if statement.name in REFUSED_HERE:
            self.ran.append(statement.name.removeprefix("analysts/"))
        else:
            await self._execute(statement, *arguments, **options)


@pytest.fixture
async def store(nodes: list[UsersServer]) -> AsyncIterator[Store]:
    store = create_store(Settings(**settings_of(nodes)))  # type: ignore[arg-type]
    await store.prepare()
    yield store
    await store.close(0)


async def test_an_analyst_is_made_and_removed_on_every_node_and_said_so_by_node(
    store: Store, nodes: list[UsersServer]
) -> None:
    assert store.cluster
    noting = [Noting(node) for node in store.cluster.nodes]
    names = [node.name for node in store.cluster.nodes]
    assert names == [node.url.rpartition("@")[2].rpartition("/")[0] for node in nodes]
    assert await store.analysts.add(make_analyst("cyd", "acme")) == [Done(name) for name in names]
    everywhere = [*ROLE[:-3], *COPY[2:], *ROLE[-3:], "user"]
    assert [node.ran for node in noting] == [everywhere, everywhere]
    assert ("cyd", "acme") in [(row.name, row.tenant) for row in await store.analysts.everybody()]

    store.cluster.nodes[1].prepared = False
    down = Done(names[1], "does not answer")
    assert await store.analysts.remove("cyd") == [Done(names[0]), down]
    assert await store.analysts.make_role() == [Done(names[0]), down]
    assert "cyd" not in [row.name for row in await store.analysts.everybody()]
    with pytest.raises(StartupError, match=f"there is a user bea on {names[0]}; remove it first"):
        await store.analysts.add(make_analyst("bea", "acme"))
    store.cluster.nodes[0].prepared = False
    with pytest.raises(EngineError):
        await store.analysts.make_role()


async def test_nodes_that_keep_their_users_in_one_place_make_one_together(store: Store) -> None:
    assert store.cluster
    first, second = [Noting(node) for node in store.cluster.nodes]

    async def refuse(statement: Statement, *arguments: Any, **options: Any) -> None:
        if statement.name == "analysts/user":
            raise EngineError(493)
        await second(statement, *arguments, **options)

    store.cluster.nodes[1].whole.execute = refuse  # type: ignore[method-assign]
    done = await store.analysts.add(make_analyst("dan", "acme"))
    assert [one.error for one in done] == ["", ""]
    assert first.ran[-1] == "user"
    await store.engine.execute(STATEMENTS["analysts/unassign"], {"name": "dan"})


def test_the_audit_says_on_which_nodes_something_is_so(nodes: list[UsersServer]) -> None:
    def audit() -> list[dict[str, Any]]:
        result = run_here("analyst", "audit", "--json", **settings_of(nodes))
        return [one for one in json.loads(result.stdout) if one["finding"] != "shows_hidden_keys"]

    names = [node.url.rpartition("@")[2].rpartition("/")[0] for node in nodes]
    assert audit() == []
    nodes[1].select(f"CREATE VIEW {DATABASE}.leak SQL SECURITY NONE AS SELECT * FROM signals")
    nodes[0].select(f"INSERT INTO {DATABASE}{OWN}.analysts (name, tenant) VALUES ('gone', 'acme')")
    assert audit() == [{"finding": "no_user", "who": "gone", "what": "acme", "nodes": names}]
    lines = run_here("analyst", "audit", **settings_of(nodes)).stdout
    assert f"gone sees acme but is no user (on {', '.join(names)}); pulsehouse analyst remove gone --apply" in lines
    nodes[0].select(f"DELETE FROM {DATABASE}{OWN}.analysts WHERE name = 'gone'")
    nodes[1].select(f"DROP VIEW {DATABASE}.leak")


def test_analysts_are_listed_from_the_first_shard(nodes: list[UsersServer]) -> None:
    listed = json.loads(run_here("analyst", "list", "--json", **settings_of(nodes)).stdout)
    assert [(row["name"], row["tenant"]) for row in listed] == [("ann", "acme"), ("bea", "rival")]
    assert AnalystRow.__struct_fields__ == ("name", "tenant", "created_at")


def test_nodes_that_ask_each_other_as_somebody_else_get_no_analysts(tmp_path_factory: pytest.TempPathFactory) -> None:
    users = [users_xml(names, {}, ON_CLUSTER) for names in (ANALYSTS, ["ann"])]
    with users_cluster(COMMAND, tmp_path_factory.mktemp("cluster"), users, secret="") as nodes:
        settings = settings_of(nodes)
        asyncio.run(fill(settings))
        copy_sites(nodes)
        # This is what it would mean.
        count = "SELECT count() FROM {}.signals"
        assert nodes[0].select(count.format(DATABASE), "nil") == nodes[1].select(count.format(DATABASE + OWN)) != "0"
        refused = run_here("analyst", "add", "eve", "--tenant", "acme", "--apply", **settings)
        assert (refused.returncode, refused.stdout) == (1, "")
        reason = "as another user than who asks, which shows an analyst whom it does not know all its rows"
        assert f"{reason}; give the cluster a <secret>" in refused.stderr
        audited = run_here("analyst", "audit", **settings)
        assert (audited.returncode, reason in audited.stdout) == (1, True)
