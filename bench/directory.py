"""`python -m bench.directory`: what a worker's directory of sites and keys costs: start, memory, refresh.

On the ClickHouse server at CLICKHOUSE_URL, in a throw-away database; each size in a process of its own.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from pathlib import Path

import msgspec

from app.settings import Settings
from app.store import tenants as directory
from app.store.engine import EngineError
from app.store.statements import load_statements
from app.wiring import create_store
from tests.kit.databases import connection, drop, new_name, url_of

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("fill_*.sql")}


class Costs(msgspec.Struct, frozen=True):
    """What a directory costs: seconds, and MB of resident memory above a worker that knows nobody."""

    sites: int
    first_read_s: float
    worker_cpu_s: float
    """Of the first read; the rest is ClickHouse's and that of whatever else runs."""
    memory_mb: float
    peak_mb: float
    refresh_s: float
    look_over_s: float


def memory_mb(line: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(text for text in status if text.startswith(line)).split()[1]) / 1024


async def measure(url: str, sites: int) -> Costs:
    store = create_store(Settings(clickhouse_url=url))
    await store.prepare()
    await store.refresh()
    empty_mb = memory_mb("VmRSS")
    with connection(url) as client:
        client.command(SQL["fill_sites"], {"sites": sites})
        client.command(SQL["fill_keys"], {"keys": 2 * sites})
    store.tenants = directory.Tenants(store.engine, load_statements(), max_age_s=5)
    started_s, before_s = time.perf_counter(), time.process_time()
    while True:
        try:
            await store.tenants.refresh()
            break
        except EngineError as error:  # a page took longer than a query may: tried again, as a service does
            print(f"again: {error.detail}", file=sys.stderr)
    first_read_s, worker_cpu_s = time.perf_counter() - started_s, time.process_time() - before_s
    known_mb, peak_mb = memory_mb("VmRSS") - empty_mb, memory_mb("VmHWM") - empty_mb
    took_s = []
    for look_over in (False, False, False, True):
        if look_over:
            store.tenants._looked_over_at_s = float("-inf")
        started_s = time.perf_counter()
        await store.tenants.refresh()
        took_s.append(time.perf_counter() - started_s)
    await store.close(1)
    return Costs(sites, first_read_s, worker_cpu_s, known_mb, peak_mb, min(took_s[:-1]), took_s[-1])


def in_a_process(server_url: str, sites: int) -> None:
    url = url_of(server_url, new_name())
    try:
        costs = asyncio.run(measure(url, sites))
    finally:
        drop(url)
    numbers = (
        f"{costs.sites:,}",
        f"{costs.first_read_s:.1f} s",
        f"{costs.worker_cpu_s:.1f} s",
        f"{costs.memory_mb:,.0f} MB",
        f"{costs.peak_mb:,.0f} MB",
        f"{1000 * costs.refresh_s:.0f} ms",
        f"{costs.look_over_s:.2f} s",
    )
    print(f"| {' | '.join(numbers)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    print(
        "| sites, and twice as many keys | first read | worker's CPU | memory | at most | refresh | every 5 minutes |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for sites in options.sites:
        process = multiprocessing.get_context("spawn").Process(
            target=in_a_process, args=(os.environ["CLICKHOUSE_URL"], sites)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
