"""`python -m bench.cluster`: what shards cost: a lane's statement and INSERT, on one machine and through a cluster.

On the cluster that CLICKHOUSE_NODES names, and on its first node alone. All nodes share this machine's cores, so what
is shown is the cost of a shard and not a speed-up.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.domain.sites import Site
from app.settings import Settings
from app.store.reads import parameters_of
from app.store.statements import load_statements
from app.store.store import Store
from app.wiring import create_store
from tests.kit.clusters import drop_everywhere, settings_of
from tests.kit.databases import drop, new_name, url_of

STATEMENTS = load_statements()
SITES = [f"site_{number}" for number in range(300)]
VISITORS = 20
TIMES = 30


class Costs(msgspec.Struct, frozen=True):
    """Milliseconds, medians."""

    where: str
    poll_ms: float
    poll_20_ms: float
    insert_ms: float


async def median_ms(work: Callable[[], Awaitable[Any]]) -> float:
    took_ms = []
    for _ in range(TIMES):
        started_s = time.perf_counter()
        await work()
        took_ms.append(1000 * (time.perf_counter() - started_s))
    return statistics.median(took_ms)


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


async def measure(where: str, settings: Settings) -> Costs:
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
        where,
        await median_ms(lambda: engine.fetch(STATEMENTS["realtime"], polled(own[:1]))),
        await median_ms(lambda: engine.fetch(STATEMENTS["realtime"], polled(own[:20]))),
        await median_ms(lambda: insert(store, own[:20])),
    )
    await store.close(1)
    return costs


def polled(sites: list[str]) -> Any:
    return parameters_of(sites, datetime.now(UTC).replace(microsecond=0))


async def insert(store: Store, sites: list[str]) -> None:
    rows = rows_of(sites, 2)
    await store.inserts.commit(rows, len(sites) * 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    urls = [node["url"] for node in json.loads(os.environ["CLICKHOUSE_NODES"])]
    found: list[list[Costs]] = []
    for _ in range(rounds):  # in turns: what else the machine does meets both
        name = new_name()
        options: dict[str, Any] = {"commit_interval_ms": 0, "query_timeout_ms": 60_000}
        alone = asyncio.run(measure("one machine", Settings(clickhouse_url=url_of(urls[0], name), **options)))
        drop(url_of(urls[0], name))
        name = new_name()
        shards = asyncio.run(measure(f"{len(urls)} shards", Settings(**(options | settings_of(urls, name)))))
        drop_everywhere(urls, name)
        found.append([alone, shards])
    print("| | poll of 1 site | of 20 sites | INSERT of 160 signals |")
    print("|---|--:|--:|--:|")
    for costs in zip(*found, strict=True):
        poll, poll_20, insert_ = (
            statistics.median(getattr(cost, name) for cost in costs) for name in ("poll_ms", "poll_20_ms", "insert_ms")
        )
        print(f"| {costs[0].where} | {poll:.1f} ms | {poll_20:.1f} ms | {insert_:.1f} ms |")


if __name__ == "__main__":
    main()
