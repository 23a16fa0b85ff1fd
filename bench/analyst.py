"""How long polls take while analysts scan the whole record all the time, without limits and with each of several.

    python -m bench.analyst --clickhouse http://default:@127.0.0.1:8123 [--signals 5000000] [--workload NAME]

The database bench_* is made there and dropped at the end. The cases take turns, so that the machine's other load falls
on all alike; what counts are ratios to the same round's case without a scan. Where the profile sets a `priority`,
scans with `priority = 10` are one more case; --workload names a workload of the server as another.
"""

import argparse
import contextlib
import os
import statistics
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect

from bench.harness import SQL, Database, Load, serve, steady_writer, traffic, wrk

SITES = 300
SIGNALS_PER_S = 300
DASHBOARDS = 300
POLLED_EVERY_MS = 2_000
NICE = {"os_threads_nice_value_query": 19}
CASES: dict[str, dict[str, Any] | None] = {
    "no scan": None,
    "scans without limits": {},
    "scans, one thread each": {"max_threads": 1},
    "scans, nice 19": NICE,
    "scans, one thread each, nice 19": {"max_threads": 1, **NICE},
}
"""The settings of the scans; None where there are none."""


def fill(database: Database, signals: int) -> None:
    """A day of so many signals, and the window."""
    database.add_sites(SITES)
    now = datetime.now(UTC)
    before = now - timedelta(seconds=400)
    of_a_day = traffic(until=before, rate=signals / 86_000, seconds=86_000, sites=SITES, visitors=100_000, skew=True)
    database.load(of_a_day, block=500_000)
    window = traffic(until=now, rate=SIGNALS_PER_S, seconds=400, sites=SITES, visitors=10_000, skew=True)
    database.load(window, block=1_000)


class Scans:
    """Analysts who start a scan when the last one is done."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        self.done = 0
        self._url = url
        self._settings = settings
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self, analysts: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._scan) for _ in range(analysts)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _scan(self) -> None:
        client = clickhouse_connect.get_client(dsn=self._url, autogenerate_session_id=False)
        while not self._stop.is_set():
            client.query(SQL["scan"], settings=self._settings)
            self.done += 1
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clickhouse", metavar="URL", default=os.environ.get("CLICKHOUSE_URL"))
    parser.add_argument("--signals", type=int, default=5_000_000, help="of the day before")
    parser.add_argument("--analysts", type=int, default=2, help="scans at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of each case in each round")
    parser.add_argument("--workload", help="a workload of the server, as one more case")
    args = parser.parse_args()
    if not args.clickhouse:
        parser.error("name a ClickHouse server by --clickhouse or CLICKHOUSE_URL")
    cases = dict(CASES)
    if args.workload:
        cases[f"scans, workload {args.workload}"] = {"workload": args.workload}
    found: dict[str, list[Load]] = {}
    scanned: dict[str, int] = {}
    with Database(args.clickhouse) as database:
        if (own := database.client.query("SELECT getSetting('priority')").result_rows[0][0]) != 0:
            cases[f"scans, priority 10 against {own}"] = {"priority": 10}
        fill(database, args.signals)
        with serve(database.url) as service, steady_writer(service, sites=SITES, rate=SIGNALS_PER_S):
            for _ in range(args.rounds):
                for name, settings in cases.items():
                    scans = Scans(database.url, settings or {})
                    with scans.running(args.analysts if settings is not None else 0):
                        load = wrk(
                            service.url,
                            "poll",
                            connections=DASHBOARDS,
                            seconds=args.seconds,
                            sites=SITES,
                            delay_ms=POLLED_EVERY_MS,
                        )
                    found.setdefault(name, []).append(load)
                    print(f"  {name}: p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms", file=sys.stderr)
                    scanned[name] = scanned.get(name, 0) + scans.done
    print(f"{args.signals:,} signals, {args.analysts} scans at a time, {args.rounds} rounds of {args.seconds:g} s")
    for name, loads in found.items():
        p50, p99 = (statistics.median(getattr(load, which) for load in loads) for which in ("p50_ms", "p99_ms"))
        times = [load.p99_ms / alone.p99_ms for load, alone in zip(loads, found["no scan"], strict=True)]
        spread = f"{statistics.median(times):5.2f} ({min(times):.2f} to {max(times):.2f})"
        refused = sum(load.failed for load in loads)
        print(
            f"{name:34} p50 {p50:6.0f} ms  p99 {p99:6.0f} ms  p99 / without {spread}  scans {scanned[name]:4}  "
            f"refused {refused}"
        )


if __name__ == "__main__":
    main()
