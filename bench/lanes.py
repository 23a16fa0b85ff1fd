"""What a lane's statement and INSERT cost, on one machine and through a cluster, with nothing beside them."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.domain.sites import Site
from app.settings import Settings
from app.store.reads import parameters_of
from app.store.statements import load_statements
from app.store.store import Store
from app.wiring import create_store
from bench.profile import used_s
from tests.kit.clusters import drop_everywhere, settings_of
from tests.kit.databases import drop, new_name, url_of

STATEMENTS = load_statements()
SITES = [f"site_{number}" for number in range(300)]
VISITORS = 20
TIMES = 50
"""CPU is counted in hundredths of a second: so often, and it is known to 0.2 ms."""


class Cost(msgspec.Struct, frozen=True):
    """Of a statement or an INSERT."""

    took_ms: float
    """Median, from the question to the answer."""
    cpu_ms: float
    """Of ClickHouse, on the average; of an INSERT with the merges that follow at once."""


class Costs(msgspec.Struct, frozen=True):
    """What was asked for."""

    site: Cost
    sites_20: Cost
    """20 sites of one shard, by one statement."""
    insert: Cost
    """160 signals of those."""


async def cost(pids: Sequence[int], work: Callable[[], Awaitable[Any]]) -> Cost:
    took_ms = []
    before_s = used_s({"clickhouse": pids})["clickhouse"]
    for _ in range(TIMES):
        started_s = time.perf_counter()
        await work()
        took_ms.append(1000 * (time.perf_counter() - started_s))
    cpu_s = used_s({"clickhouse": pids})["clickhouse"] - before_s
    return Cost(statistics.median(took_ms), 1000 * cpu_s / TIMES)


def rows_of(sites: list[str], visitors: int) -> bytes:
    """Signals of each visitor on each site in each of the last four minutes."""
    now = datetime.now(UTC)
    return msgspec.json.Encoder().encode_lines(
        {
            "site_id": site_id,
            "timestamp": now - timedelta(minutes=minute, microseconds=visitor),
            "type": "pageview",
            "visitor_id": visitor,
            "page": f"/{visitor % 7}",
        }
        for site_id in sites
        for minute in range(4)
        for visitor in range(visitors)
    )


async def measure(settings: Settings, pids: Sequence[int]) -> Costs:
    store = create_store(settings)
    await store.prepare()
    number = await store.tenants.last_addition() + 1
    await store.tenants.add_sites([Site(site_id, "acme", ("example.com",), "x") for site_id in SITES], number)
    await store.refresh()
    store.inserts.start()
    await store.inserts.commit(rows_of(SITES, VISITORS), len(SITES) * 4 * VISITORS)
    # What one lane does: sites of one shard.
    own = [site_id for site_id in SITES if store.tenants.shard_of(site_id) == 0]
    engine = store.cluster.lane(0) if store.cluster else store.engine
    costs = Costs(
        await cost(pids, lambda: engine.fetch(STATEMENTS["realtime"], polled(own[:1]))),
        await cost(pids, lambda: engine.fetch(STATEMENTS["realtime"], polled(own[:20]))),
        await cost(pids, lambda: insert(store, own[:20])),
    )
    await store.close(1)
    return costs


OPTIONS: dict[str, Any] = {"commit_interval_ms": 0, "query_timeout_ms": 60_000}


def on_one_machine(url: str, pids: Sequence[int]) -> Costs:
    """On a server whose processes these are, in a throw-away database."""
    name = new_name()
    try:
        return asyncio.run(measure(Settings(clickhouse_url=url_of(url, name), **OPTIONS), pids))
    finally:
        drop(url_of(url, name))


def on_cluster(urls: Sequence[str], pids: Sequence[int]) -> Costs:
    """On a cluster whose processes these are, in a throw-away database."""
    name = new_name()
    try:
        return asyncio.run(measure(Settings(**(OPTIONS | settings_of(urls, name))), pids))
    finally:
        drop_everywhere(urls, name)


def polled(sites: list[str]) -> Any:
    return parameters_of(sites, datetime.now(UTC).replace(microsecond=0))


async def insert(store: Store, sites: list[str]) -> None:
    rows = rows_of(sites, 2)
    await store.inserts.commit(rows, len(sites) * 8)
