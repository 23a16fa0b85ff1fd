"""The operator's commands on a cluster: each node is looked at, and what concerns rows is done on every shard."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.parts import create_cluster
from app.settings import Settings
from app.store.cluster import OWN, Cluster
from app.store.migrations import load_migrations
from app.store.places import on_cluster
from app.store.statements import Statement, load_statements
from app.store.upkeep import Found, Upkeep
from app.wiring import create_store
from tests.kit.clusters import drop_everywhere, settings_of
from tests.kit.databases import connection, new_name
from tests.kit.gate import Gate
from tests.kit.service import run_here
from tests.kit.users import DATABASE, UsersServer, users_cluster, users_xml
from tests.test_analysts import COMMAND
from tests.test_upkeep import TABLES

STATEMENTS = load_statements()
SITES = [f"site_{number}" for number in range(12)]
BACKED_UP = (
    *(f"{DATABASE}{OWN}.{table}" for table in TABLES if table != "schema_migrations"),
    f"{DATABASE}.schema_migrations",
)
OF_THE_MACHINE = {"version", "disk", "backups", "logs", "zone", "clock"}


@pytest.fixture(scope="module")
def settings(cluster_urls: list[str]) -> Iterator[dict[str, str]]:
    """Those of a database with a signal of visitor 7 on each of SITES; a test leaves at most more signals behind."""
    database = new_name()
    settings = settings_of(cluster_urls, database)
    asyncio.run(fill(settings))
    yield settings
    drop_everywhere(cluster_urls, database)


async def fill(settings: dict[str, str]) -> None:
    store = create_store(Settings(**settings))  # type: ignore[arg-type]
    await store.prepare()
    assert store.cluster
    for site_id in SITES:
        await store.tenants.add_site(site_id, "acme", ["example.com"], site_id)
    await store.salts.refresh(datetime.now(UTC))
    await store.cluster.nodes[0].whole.execute(signals_of(7))
    await store.close(0)


def signals_of(visitor_id: int, days_ago: int = 0) -> Statement:
    """Stores a pageview of a visitor on each of SITES."""
    return Statement(
        "test",
        "INSERT INTO signals (site_id, timestamp, type, visitor_id, page) "
        f"SELECT arrayJoin({SITES}), now64(6, 'UTC') - INTERVAL {days_ago} DAY, 'pageview', {visitor_id}, '/'",
    )


@pytest.fixture
async def cluster(settings: dict[str, str]) -> AsyncIterator[Cluster]:
    cluster = create_cluster(Settings(**settings), STATEMENTS)  # type: ignore[arg-type]
    yield cluster
    await cluster.close()


def through(gates: list[Gate], settings: dict[str, str]) -> dict[str, str]:
    return settings_of([gate.url for gate in gates], name_of(settings))


def name_of(settings: dict[str, str]) -> str:
    return settings["clickhouse_url"].rpartition("/")[2]


def urls_of(settings: dict[str, str]) -> list[str]:
    return settings["clickhouse_url"].split(",")


def change(settings: dict[str, str], node: int, *statements: str) -> None:
    """Run statements on a node, whose own tables are {own}."""
    with connection(urls_of(settings)[node]) as client:
        for sql in statements:
            client.command(sql.format(own=name_of(settings) + OWN))


def names_of(settings: dict[str, str]) -> list[str]:
    return re.findall(r"@([\w.:]+)/", settings["clickhouse_url"])


# Doctor.


def diagnosed(settings: dict[str, str]) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
    """What is not ok with the cluster, and all that was found."""
    result = run_here("doctor", "--json", **settings)
    findings = json.loads(result.stdout)["findings"]
    assert result.returncode == any(found["state"] != "ok" for found in findings)
    return [
        (found.get("node"), found["check"], found["state"], found["says"], found["do"])
        for found in findings
        if found["state"] != "ok" and found["check"] not in OF_THE_MACHINE
    ], findings


def test_the_doctor_looks_at_each_node_and_once_at_what_there_is_once(settings: dict[str, str]) -> None:
    wrong, findings = diagnosed(settings)
    assert wrong == []
    by_node: dict[str | None, list[str]] = {}
    for found in findings:
        by_node.setdefault(found.get("node"), []).append(found["check"])
    assert list(by_node) == [None, *names_of(settings)]
    assert by_node.pop(None) == ["settings", "proxies", "cluster", "signals", "salts"]
    looked_at = ["node", "shards", "version", "rights", "profile", "clock", "zone", "schema", "tables", "parts", "disk"]
    for checks in by_node.values():
        assert list(dict.fromkeys(checks)) == [*looked_at, "retention", "backups", "logs", "queues"]
    says = {found["check"]: found["says"] for found in findings if found.get("node") in (None, names_of(settings)[2])}
    assert says["cluster"] == "pulsehouse: shards 3, nodes 3"
    assert says["node"] == "shard 3, replica 1"
    assert says["schema"] == f"{len(load_migrations())} migrations, all applied"
    assert says["signals"].startswith(f"{len(SITES)} sites, the newest signal came ")


def test_the_doctor_names_the_node_on_which_something_is_wrong(settings: dict[str, str]) -> None:
    _, second, third = names_of(settings)
    window = "ALTER TABLE {{own}}.visitor_minutes MODIFY SETTING non_replicated_deduplication_window = {}"
    change(settings, 1, window.format(0))
    change(
        settings,
        2,
        "RENAME TABLE live_pages TO elsewhere, signals TO aside",
        "CREATE TABLE signals AS {own}.signals ENGINE = MergeTree ORDER BY page",
    )
    try:
        wrong, _ = diagnosed(settings)
    finally:
        change(settings, 1, window.format(10_000))
        change(settings, 2, "DROP TABLE signals", "RENAME TABLE elsewhere TO live_pages, aside TO signals")
    assert [one[:4] for one in wrong if one[1] == "tables"] == [
        (
            second,
            "tables",
            "error",
            "visitor_minutes: deduplication window is 0, must be 10000; a repeated INSERT would be stored twice",
        ),
        (third, "tables", "error", "live_pages is missing"),
        (
            third,
            "tables",
            "error",
            f"table {name_of(settings)}.signals is MergeTree but must be Distributed: the database is of a single "
            "machine, choose another name",
        ),
    ]


async def test_a_node_that_does_not_answer_is_one_line_of_the_doctor(
    settings: dict[str, str], gates: list[Gate]
) -> None:
    await gates[1].shut()
    gated = through(gates, settings)
    second = names_of(gated)[1]
    wrong, findings = await asyncio.to_thread(diagnosed, gated)
    assert [(one[:3], one[4]) for one in wrong] == [
        ((second, "node", "error"), "is PULSEHOUSE_CLICKHOUSE_URL right and the server up?"),
        ((None, "signals", "unknown"), "see its nodes above"),
    ]
    assert [found["check"] for found in findings if found.get("node") == second] == ["node"]
    shown = (await asyncio.to_thread(run_here, "doctor", **gated)).stdout.splitlines()
    (line,) = [line for line in shown if second in line]
    assert line.startswith(f"error    node       {second}: ClickHouse: ")
    assert sum(line.split()[1] == "node" for line in shown if line and not line.startswith(" ")) == len(gates)


def test_without_its_tables_a_cluster_is_sent_to_migrate(cluster_urls: list[str], database: str) -> None:
    wrong, _ = diagnosed(settings_of(cluster_urls, database))
    assert [(one[1], one[4]) for one in wrong] == [
        *[("node", "pulsehouse migrate makes it")] * 3,
        *[(check, "see its nodes above") for check in ("signals", "salts")],
    ]


# Database.


async def test_retention_is_changed_on_every_shard_and_told_by_shard_where_it_differs(
    settings: dict[str, str], cluster: Cluster
) -> None:
    def retention(*arguments: str) -> dict[str, Any]:
        shown = run_here("database", "retention", *arguments, "--json", **settings)
        return dict(json.loads(shown.stdout))

    await cluster.nodes[0].whole.execute(signals_of(8, days_ago=20))
    changed = await asyncio.to_thread(retention, "--signal-days", "10", "--minute-days", "12", "--yes")
    assert changed["kept"] == {"recent_pageviews": 2, "signals": 10, "visitor_minutes": 12}
    assert [(one["table"], one["days"]) for one in changed["leaving"]] == [("signals", 1), ("visitor_minutes", 1)]
    change(settings, 1, "ALTER TABLE {own}.signals MODIFY TTL toDateTime(timestamp) + toIntervalDay(7)")
    where = [f"http://{name}/{name_of(settings)}{OWN}" for name in names_of(settings)]
    kept = (await asyncio.to_thread(retention))["kept"]
    assert {node: days["signals"] for node, days in kept.items()} == dict(zip(where, (10, 7, 10), strict=True))
    lines = (await asyncio.to_thread(run_here, "database", "retention", **settings)).stdout.splitlines()
    assert lines[0].split() == ["table", "kept", "where"]
    assert [line.split()[1:] for line in lines if line.startswith("signals")] == [
        [days, "days", node] for days, node in zip(("10", "7", "10"), where, strict=True)
    ]
    again = await asyncio.to_thread(retention, "--signal-days", "90", "--minute-days", "32")
    assert again["kept"] == {"recent_pageviews": 2, "signals": 90, "visitor_minutes": 32}
    old = f"{datetime.now(UTC) - timedelta(days=20):%F}"
    for node in range(3):
        change(settings, node, f"ALTER TABLE {{own}}.recent_pageviews DROP PARTITION '{old}'")


async def test_a_visitor_is_forgotten_on_whichever_shard_the_site_is(cluster: Cluster) -> None:
    upkeep = Upkeep(await on_cluster(cluster), STATEMENTS)
    await cluster.nodes[0].whole.execute(signals_of(9))
    for site_id in SITES:
        assert await upkeep.count(site_id, [9]) == Found(1, 1)
    for site_id in SITES[:6]:
        await upkeep.forget(site_id, [9])
    assert [(await upkeep.count(site_id, [9])).signals for site_id in SITES] == [0] * 6 + [1] * 6
    assert [await upkeep.count(site_id, [7]) for site_id in SITES] == [Found(1, 1)] * len(SITES)


async def test_without_a_shard_nothing_is_done_on_the_others(settings: dict[str, str], gates: list[Gate]) -> None:
    await gates[2].shut()
    gated = through(gates, settings)
    for command in (("retention", "--signal-days", "10", "--yes"), ("forget", "--site", "site_1", "--visitor-id", "a")):
        refused = await asyncio.to_thread(run_here, "database", *command, **gated)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == (
            f"Error: this needs a node of every shard, and nothing was done: no answer from {names_of(gated)[2]}\n"
        )
    kept = json.loads((await asyncio.to_thread(run_here, "database", "retention", "--json", **settings)).stdout)["kept"]
    assert kept == {"recent_pageviews": 2, "signals": 90, "visitor_minutes": 32}


# Backups, on servers that may write some.


@pytest.fixture
def nodes(tmp_path: Any, cluster_urls: list[str]) -> Iterator[list[UsersServer]]:
    if "{config}" not in COMMAND:
        pytest.skip("PULSEHOUSE_TEST_USERS_CLICKHOUSE names no command that runs a cluster of its own")
    with users_cluster(COMMAND, tmp_path, [users_xml([], {})] * 2, secret="of the tests") as nodes:
        yield nodes


def test_a_backup_of_every_shard_brings_the_cluster_back_and_it_goes_on_counting(
    nodes: list[UsersServer],
) -> None:
    settings = {"clickhouse_url": ",".join(node.url for node in nodes), "clickhouse_cluster": DATABASE}
    asyncio.run(fill(settings))
    everything = of_a_cluster(nodes[0])

    def rows() -> list[dict[str, str]]:
        final = {table: "" if table.endswith((".signals", ".analysts")) else "FINAL" for table in BACKED_UP}
        sums = {table: f"SELECT count(), sum(cityHash64(*)) FROM {table} {final[table]}" for table in BACKED_UP}
        return [{table: node.select(sql) for table, sql in sums.items()} for node in nodes]

    before = rows()
    made = json.loads(run_here("database", "backup", "monday", "--json", **settings).stdout)
    assert [one["name"] for one in made["shards"]] == ["monday-shard1", "monday-shard2"]
    assert made["bytes"] == sum(one["bytes"] for one in made["shards"]) > 0
    refused = run_here("database", "restore", "monday", **settings)
    assert f"database {DATABASE}{OWN} of {made['shards'][0]['node']} is not empty, it has analysts" in refused.stderr

    for node in nodes:
        for name in (DATABASE, DATABASE + OWN):
            node.ask(f"DROP DATABASE {name} SYNC", database="default")
    restored = json.loads(run_here("database", "restore", "monday", "--json", **settings).stdout)
    newest = datetime.fromisoformat(restored.pop("newest"))
    assert datetime.now(UTC) - newest < timedelta(hours=1)
    assert restored == {"name": "monday", "signals": len(SITES), "sites": len(SITES), "keys": 0}
    assert rows() == before
    assert [of_a_cluster(node) for node in nodes] == [everything] * 2
    assert nodes[0].select(f"SELECT count() FROM {DATABASE}{OWN}.salts") == "0"
    assert json.loads(run_here("migrate", "--json", **settings).stdout) == {"applied": []}
    nodes[1].select(signals_of(8).text + " SETTINGS distributed_foreground_insert = 1")
    assert nodes[0].select("SELECT sum(pageviews) FROM visitor_minutes") == str(2 * len(SITES))


def of_a_cluster(node: UsersServer) -> list[list[str]]:
    """The tables and views of a node, with their databases."""
    sql = f"SELECT database, name FROM system.tables WHERE database IN ('{DATABASE}', '{DATABASE}{OWN}') ORDER BY 1, 2"
    return [line.split("\t") for line in node.select(sql).splitlines()]


def test_a_backup_that_a_node_cannot_make_is_said_with_its_address(settings: dict[str, str]) -> None:
    refused = run_here("database", "backup", "a/b", **settings)
    assert refused.returncode == 2
    refused = run_here("database", "backup", "monday", "--disk", "none", **settings)
    assert refused.returncode == 1
    assert re.match(r"Error: ClickHouse of http://[\w.:]+/\w+_local could not: ", refused.stderr)
