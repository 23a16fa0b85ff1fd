"""How long polls of small sites take, with and without one large site that is polled all the time.

    python -m bench.large_site --clickhouse http://default:@127.0.0.1:8123 [--workers 1] [--visitors 1000000]

The database bench_* is made there and dropped at the end. Exit code 1 when the 95th percentile with the large site is
more than 3 times that without it, or when a poll of a small site was refused.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import httpx

from bench.harness import Database, Service, serve, traffic

SMALL_SITES = 100
SMALL_POLLERS = 20
PAUSE_S = 0.2
LARGE_POLLERS = 10
LIMIT = 3


def fill(database: Database, visitors: int) -> None:
    """site_1 with so many visitors in the last minute, and the small sites beside it."""
    database.add_sites(1 + SMALL_SITES)
    now = datetime.now(UTC)
    # Of ten times as many possible visitors nearly each signal has its own.
    large = traffic(until=now, rate=visitors / 60, seconds=60, sites=1, visitors=10 * visitors, skew=False)
    database.load(large, block=20_000)
    small = traffic(until=now, rate=200, seconds=200, sites=1 + SMALL_SITES, visitors=500, skew=False)
    database.load(small, block=200)


class Polls:
    """Statuses and durations of polls of one kind."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.took_s: list[float] = []

    async def of(self, client: httpx.AsyncClient, sites: range, until_s: float, pause_s: float) -> None:
        """Poll random sites, one after the other."""
        while time.monotonic() < until_s:
            site, started_s = random.choice(sites), time.monotonic()
            headers = {"Authorization": f"Bearer ph_live_bench_read_{site}"}
            response = await client.get(f"/api/realtime?siteId=site_{site}", headers=headers)
            self.took_s.append(time.monotonic() - started_s)
            self.statuses[response.status_code] += 1
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))

    def quantile_ms(self, hundredth: int) -> float:
        return statistics.quantiles(self.took_s, n=100)[hundredth - 1] * 1000

    def tell(self, name: str) -> None:
        p50, p95 = self.quantile_ms(50), self.quantile_ms(95)
        print(f"{name:34} p50 {p50:7.0f} ms   p95 {p95:7.0f} ms   {dict(self.statuses)}")


async def poll(service: Service, seconds: float, large_pollers: int) -> tuple[Polls, Polls]:
    """Polls of the small sites and of the large one at the same time."""
    small, large = Polls(), Polls()
    until_s = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=service.url, timeout=30, limits=httpx.Limits(max_connections=None)) as client:
        others = [small.of(client, range(2, 2 + SMALL_SITES), until_s, PAUSE_S) for _ in range(SMALL_POLLERS)]
        await asyncio.gather(*others, *(large.of(client, range(1, 2), until_s, 0) for _ in range(large_pollers)))
    return small, large


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clickhouse", metavar="URL", default=os.environ.get("CLICKHOUSE_URL"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--visitors", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    if not args.clickhouse:
        parser.error("name a ClickHouse server by --clickhouse or CLICKHOUSE_URL")
    with Database(args.clickhouse) as database:
        fill(database, args.visitors)
        with serve(database.url, workers=args.workers) as service:
            without, _ = asyncio.run(poll(service, args.seconds, 0))
            small, large = asyncio.run(poll(service, args.seconds, LARGE_POLLERS))
    without.tell("small sites alone")
    small.tell("small sites beside the large one")
    large.tell(f"the large one, {args.visitors:,} visitors")
    ratio = small.quantile_ms(95) / without.quantile_ms(95)
    refused = sum(count for status, count in small.statuses.items() if status != 200)
    print(f"p95 with / without: {ratio:.1f} (at most {LIMIT}); refused: {refused}")
    sys.exit(ratio > LIMIT or refused > 0)


if __name__ == "__main__":
    main()
