"""A cluster: where rows are, what a dead node costs and whom, and how nodes come to their tables.

PULSEHOUSE_TEST_CLUSTER_URLS names its nodes, one a shard. A gate before each takes it away from the service alone;
PULSEHOUSE_TEST_CLUSTER_NODES, with their process ids, lets a test stop one for all.
"""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from app.domain.errors import StartupError
from app.parts import create_cluster
from app.settings import Settings
from app.store import schema
from app.store.cluster import OWN, Cluster, Node, Place, replicated
from app.store.migrations import load_migrations
from app.store.statements import Statement, load_statements
from app.wiring import create_app, create_store
from tests.conftest import Api, Clock
from tests.kit.clusters import drop_everywhere, settings_of
from tests.kit.databases import connection, url_of
from tests.kit.gate import Gate
from tests.kit.waiting import until

STATEMENTS = load_statements()
MIGRATIONS = load_migrations()
NAMES = [migration.name for migration in MIGRATIONS]
SITES = [f"site_{number}" for number in range(30)]


@pytest.fixture
def on_cluster(gates: list[Gate], cluster_urls: list[str], database: str) -> Iterator[dict[str, Any]]:
    """The settings of a service on a database of the test's own, through the gates; dropped after it."""
    yield settings_of([gate.url for gate in gates], database)
    drop_everywhere(cluster_urls, database)


@pytest.fixture
async def api(on_cluster: dict[str, Any]) -> AsyncIterator[Api]:
    """A service on the cluster with SITES, all of tenant acme, and a key of each scope."""
    settings = Settings(**on_cluster, query_timeout_ms=2_000, commit_timeout_ms=3_000, commit_interval_ms=0)
    store = create_store(settings, clock=Clock())
    await store.start()
    transport = httpx.ASGITransport(create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://pulsehouse.test", timeout=60) as client:
        api = Api(store, client, Clock())
        for site_id in SITES:
            await store.tenants.add_site(site_id, "acme", ["example.com"], site_id)
        for scope in ("read", "write", "admin"):
            setattr(api, scope, (await store.tenants.create_key("acme", scope, "", None))[1])
        await store.refresh()
        yield api
    await store.close(5)


def ask(url: str, sql: str) -> list[str]:
    """The lines that a node answers."""
    with connection(url) as client:
        return str(client.command(sql + " FORMAT TSVRaw")).splitlines()


def by_shard(api: Api) -> list[list[str]]:
    """SITES by their shards, as the service knows them."""
    shards: list[list[str]] = [[] for _ in range(api.store.cluster.size if api.store.cluster else 1)]
    for site_id in SITES:
        shards[api.store.tenants.shard_of(site_id)].append(site_id)
    return shards


def batch_of(sites: list[str]) -> dict[str, Any]:
    return {"batch": True, "events": [{"siteId": site_id, "visitorId": "ann", "path": "/"} for site_id in sites]}


async def status_of(api: Api, site_id: str) -> int:
    return (await api.get(f"/api/realtime?siteId={site_id}", api.read)).status_code


async def test_all_of_a_site_is_on_one_shard_and_each_answers_for_its_own(
    api: Api, cluster_urls: list[str], database: str
) -> None:
    answer = await api.track(batch_of(SITES), token=api.write)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "count": len(SITES)})
    shards = by_shard(api)
    assert all(shards)
    for url, sites in zip(cluster_urls, shards, strict=True):
        own = url_of(url, database + OWN)
        keys = "SELECT hex(site) FROM {} ORDER BY 1"
        assert ask(own, "SELECT site_id FROM signals ORDER BY site_id") == sorted(sites)
        assert ask(own, keys.format("visitor_minutes")) == ask(own, keys.format("recent_pageviews"))
        assert ask(own, "SELECT count() FROM visitor_minutes") == [str(len(sites))]
        assert ask(url_of(url, database), "SELECT count() FROM pageviews") == [str(len(SITES))]
    for site_id in SITES:
        assert (await api.realtime(site_id))["pageBreakdown"] == {"/": 1}
    overview = (await api.get("/api/realtime/overview", api.read)).json()
    assert overview["total"] == {
        "sites": len(SITES),
        "sitesWithVisitors": len(SITES),
        "activeVisitors": len(SITES),
        "pageviewsLast5Min": len(SITES),
    }
    assert [site["siteId"] for site in overview["sites"]] == sorted(SITES)


async def test_sites_keys_and_salts_are_on_the_first_shard(api: Api, cluster_urls: list[str], database: str) -> None:
    await api.track(batch_of(SITES), token=api.write)
    counts = [
        ask(url_of(url, database + OWN), f"SELECT count() > 0 FROM {table}")
        for table in ("sites", "api_keys", "salts")
        for url in cluster_urls
    ]
    assert counts == [["1"], *[["0"]] * (len(cluster_urls) - 1)] * 3


async def test_an_insert_repeated_through_every_node_is_stored_once(api: Api) -> None:
    rows = b"".join(
        json.dumps(
            {
                "site_id": site_id,
                "timestamp": api.clock().isoformat(),
                "type": "pageview",
                "visitor_id": 7,
                "page": "/",
            }
        ).encode()
        + b"\n"
        for site_id in SITES
    )
    assert api.store.cluster
    for _ in range(2):
        for node in api.store.cluster.nodes:
            await node.whole.execute(STATEMENTS["track/insert_signals"], {"token": "t1"}, rows, timeout_s=60)
    for count in ("count() FROM signals", "sum(pageviews) FROM visitor_minutes", "count() FROM recent_pageviews"):
        assert await api.select(f"SELECT {count}") == str(len(SITES))


async def test_a_node_that_cannot_be_reached_is_asked_through_another(api: Api, gates: list[Gate]) -> None:
    await gates[1].shut()
    for site_id in SITES:
        assert (await api.track({"siteId": site_id})).status_code == 200
        assert (await api.realtime(site_id))["activeVisitors"] == 1


@pytest.fixture
def stopped(cluster_urls: list[str]) -> Iterator[Any]:
    """Stops the process of a node, as SIGSTOP does, and lets all go on after the test."""
    nodes = json.loads(os.environ.get("PULSEHOUSE_TEST_CLUSTER_NODES", "[]"))
    if not nodes:
        pytest.skip("no process ids of the cluster's nodes; set PULSEHOUSE_TEST_CLUSTER_NODES")
    yield lambda shard, go_on=False: os.kill(nodes[shard]["pid"], signal.SIGCONT if go_on else signal.SIGSTOP)
    for node in nodes:
        os.kill(node["pid"], signal.SIGCONT)


async def test_a_stopped_shard_costs_its_own_sites_and_nobody_else(api: Api, stopped: Any) -> None:
    first, second, *_ = by_shard(api)
    await api.store.tenants.add_site(first[0], "lucky", ["example.com"], "of one shard")
    lucky = (await api.store.tenants.create_key("lucky", "read", "", None))[1]
    await api.track(batch_of(SITES), token=api.write)
    await api.store.refresh()
    stopped(1)
    # Everything at once: who has to wait holds up nobody.
    lost = asyncio.create_task(api.track({"siteId": second[0]}))
    others = [site_id for site_id in SITES if site_id not in (*second, first[0])]
    statuses = await asyncio.gather(*(status_of(api, site_id) for site_id in second + others))
    assert statuses == [503] * len(second) + [200] * len(others)
    for site_id in others:
        assert (await api.track({"siteId": site_id})).status_code == 200
    assert (await api.get("/api/realtime/overview", lucky)).status_code == 200
    assert (await api.get("/api/realtime/overview", api.read)).status_code == 503
    refused = await lost
    assert (refused.status_code, refused.headers["pulsehouse-stored"]) == (503, "unknown")
    mixed = await api.track(batch_of([others[0], second[0]]), token=api.write)
    assert (mixed.status_code, mixed.headers["pulsehouse-stored"]) == (503, "unknown")
    assert (await api.get("/ready")).status_code == 200
    assert 'pulsehouse_shard_answers{shard="2"} 0.0' in (await api.get("/metrics")).text
    assert 'pulsehouse_shard_answers{shard="1"} 1.0' in (await api.get("/metrics")).text

    stopped(1, go_on=True)

    async def goes_on() -> bool:
        return await status_of(api, second[0]) == 200 and not api.store.inserts.queued

    await until(goes_on)
    # What was not acknowledged was stored once or not at all.
    assert await api.select(f"SELECT count() IN (2, 3) FROM signals WHERE site_id = '{second[0]}'") == "1"
    assert await api.select(f"SELECT count() FROM signals WHERE site_id = '{others[0]}'") == "3"


async def test_an_empty_node_and_one_that_missed_a_migration_get_what_they_lack(
    gates: list[Gate], on_cluster: dict[str, Any], cluster_urls: list[str], database: str, monkeypatch: Any
) -> None:
    def ledger(url: str) -> list[str]:
        return ask(url_of(url, database), "SELECT name FROM schema_migrations FINAL ORDER BY version")

    await gates[2].shut()
    cluster = create_cluster(Settings(**on_cluster), STATEMENTS)
    monkeypatch.setattr(schema, "load_migrations", lambda: MIGRATIONS[:-2])
    assert await cluster.prepare() == NAMES[:-2]
    assert [node.answers and node.prepared for node in cluster.nodes] == [True, True, False]
    await gates[2].open()  # empty
    await cluster.look()
    assert [node.answers and node.prepared for node in cluster.nodes] == [True, True, True]
    assert [ledger(url) for url in cluster_urls] == [NAMES[:-2]] * 3
    await cluster.close()

    await gates[1].shut()
    monkeypatch.setattr(schema, "load_migrations", lambda: MIGRATIONS)
    cluster = create_cluster(Settings(**on_cluster), STATEMENTS)
    assert await cluster.prepare() == NAMES[-2:]
    await gates[1].open()
    await cluster.look()
    assert [ledger(url) for url in cluster_urls] == [NAMES] * 3
    tables = "SELECT database, name, engine FROM system.tables WHERE database IN ('{0}', '{0}_local') ORDER BY 1, 2"
    assert len({tuple(ask(url, tables.format(database))) for url in cluster_urls}) == 1
    await cluster.close()


async def test_instances_that_start_together_end_with_one_schema(on_cluster: dict[str, Any]) -> None:
    clusters = [create_cluster(Settings(**on_cluster), STATEMENTS) for _ in range(3)]
    await asyncio.gather(*(cluster.prepare() for cluster in clusters))
    assert all(node.answers and node.prepared for cluster in clusters for node in cluster.nodes)
    assert await clusters[0].prepare() == []
    for cluster in clusters:
        await cluster.close()


async def refused(settings: dict[str, Any]) -> str:
    store = create_store(Settings(**settings))
    with pytest.raises(StartupError) as error:
        await store.prepare()
    await store.close(0)
    return re.sub(r"http://[\w.:]+/\w+", "URL", re.sub(r"table \S+ is \S+", "table T is E", str(error.value)))


async def test_a_start_that_would_mix_up_clusters_and_machines_is_refused(
    on_cluster: dict[str, Any],
) -> None:
    urls = on_cluster["clickhouse_url"].split(",")
    assert await refused(on_cluster | {"clickhouse_cluster": "other"}) == (
        "PULSEHOUSE_CLICKHOUSE_CLUSTER: URL knows no cluster 'other'; add it to remote_servers"
    )
    assert await refused(on_cluster | {"clickhouse_url": ",".join(urls[:2])}) == (
        "PULSEHOUSE_CLICKHOUSE_URL names 2 nodes, but the cluster 'pulsehouse' has 3; name each once"
    )
    assert await refused(on_cluster | {"clickhouse_url": ",".join([*urls[:2], urls[0]])}) == (
        "PULSEHOUSE_CLICKHOUSE_URL names a node of the cluster twice; name each once"
    )
    store = create_store(Settings(**on_cluster))
    await store.prepare()
    await store.close(0)
    assert await refused({"clickhouse_url": urls[0]}) == (
        "table T is E but must be a table of its own: name the cluster in PULSEHOUSE_CLICKHOUSE_CLUSTER"
    )
    assert await refused(on_cluster | {"clickhouse_replicated": True}) == ("table T is E but must be replicated")


async def test_tables_of_a_single_machine_are_never_replaced(
    on_cluster: dict[str, Any],
) -> None:
    store = create_store(Settings(clickhouse_url=on_cluster["clickhouse_url"].split(",")[0]))
    await store.prepare()
    await store.close(0)
    assert await refused(on_cluster) == (
        "table T is E but must be Distributed: the database is of a single machine, choose another name"
    )


def test_every_table_has_a_statement_that_makes_it_one_of_the_whole_cluster() -> None:
    tables = {
        match[1]
        for migration in MIGRATIONS
        if (match := re.search(r"^CREATE TABLE IF NOT EXISTS (\w+)", migration.statement.text, re.MULTILINE))
    }
    assert {f"cluster/{table}" for table in tables} | {"cluster/node", "cluster/unfit_tables"} == {
        name for name in STATEMENTS if name.startswith("cluster/")
    }


def test_tables_with_replicas_are_those_of_the_files_but_for_their_engine() -> None:
    path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
    engines = []
    for migration in MIGRATIONS:
        before, after = migration.statement.text.splitlines(), replicated(migration.statement).text.splitlines()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        is_table = any(line.startswith("CREATE TABLE") for line in before)
        assert len(changed) == is_table, migration.name
        engines += [new for _, new in changed]
        if is_table:
            # Both windows: which of them counts depends on the engine.
            window = re.search(r"\breplicated_deduplication_window = (\d+)", migration.statement.text)
            other = re.search(r"non_replicated_deduplication_window = (\d+)", migration.statement.text)
            assert bool(window) == bool(other), migration.name
            if window:
                assert "replicated_deduplication_window_seconds = 604800" in migration.statement.text
    assert set(engines) == {
        f"ENGINE = ReplicatedReplacingMergeTree({path}, updated_at)",
        f"ENGINE = ReplicatedMergeTree({path})",
        f"ENGINE = ReplicatedAggregatingMergeTree({path})",
    }


async def test_clickhouse_reads_a_table_with_replicas_as_the_same_but_for_its_engine(
    cluster_urls: list[str], database: str
) -> None:
    def parsed(statement: Statement) -> list[str]:
        return ask(url_of(cluster_urls[0], "default"), f"EXPLAIN AST {statement.text}")

    for migration in MIGRATIONS:
        if "CREATE TABLE" in migration.statement.text:
            plain, with_replicas = parsed(migration.statement), parsed(replicated(migration.statement))
            added = [line for line in with_replicas if line not in plain]
            assert any("Function Replicated" in line for line in added), migration.name
            rest = [line for line in with_replicas if "Literal '" not in line and "MergeTree" not in line]
            assert len(with_replicas) - len(rest) <= 3 + sum("Literal '" in line for line in plain), migration.name


async def test_a_server_with_keeper_takes_the_tables_with_replicas(database: str) -> None:
    url = os.environ.get("PULSEHOUSE_TEST_KEEPER_URL", "")
    if not url:
        pytest.skip("no server with Keeper; set PULSEHOUSE_TEST_KEEPER_URL")
    node = url_of(url, database)
    with connection(url_of(url, "default")) as client:
        client.command(f"CREATE DATABASE {database}")
    try:
        with connection(node) as client:
            for migration in MIGRATIONS:
                client.command(replicated(migration.statement).text)
        tables = ask(
            node, f"SELECT engine FROM system.tables WHERE database = '{database}' AND engine LIKE '%MergeTree'"
        )
        assert tables
        assert all(engine.startswith("Replicated") for engine in tables)
    finally:
        with connection(url_of(url, "default")) as client:
            client.command(f"DROP DATABASE {database} SYNC")


@pytest.mark.any_engine
async def test_a_look_that_is_cut_short_says_nothing_of_the_nodes() -> None:
    asked = asyncio.Event()

    async def never(*_: Any) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b""

    engine = Mock(fetch=never, database="x")
    engine.name = "x"
    node = Node(whole=engine, own=engine)
    node.place, node.answers, node.prepared = Place(shard=1, replica=1, shards=1, nodes=1, even=True), True, True
    look = asyncio.create_task(Cluster("pulsehouse", [node], STATEMENTS, replicated=False).look())
    await asked.wait()
    look.cancel()
    await asyncio.wait([look])
    assert (node.answers, node.prepared) == (True, True)
