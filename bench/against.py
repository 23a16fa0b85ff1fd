"""This version beside another one, in turns on the same server: CPU of the statement, bytes on disk, acknowledgements.

    git worktree add --detach /tmp/before 4366bac
    python -m bench.against /tmp/before --clickhouse http://default:@127.0.0.1:8123        8 minutes

Ends in bench/RESULTS.md by `--output bench/before.json` and `python bench/results_page.py`.

Both get the same signals: 1,000 sites, log-uniform, five minutes at 1,000 signals/s in blocks of 1,000, merged as they
come. Ratios are of this version to the other: the median of those of each turn, with its quartiles.
"""

import argparse
import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import clickhouse_connect
import msgspec

from app.store.reads import parameters_of
from bench.acknowledged import CALLERS, acknowledged_ms, cpu_us_per_signal
from bench.harness import WINDOW_S, Database, Service, steady_writer, traffic
from bench.http import SITES
from tests.kit.service import PULSEHOUSE, ROOT

ASKED = {0: 0.8, 1: 0.8, 10: None, 150: 0.6, SITES: 0.6}
"""Sites in a statement, 0 is one site without visitors; and the most that its ratio should be."""

TABLES = ("signals", "visitor_minutes", "recent_pageviews")


class Version(Database):
    """A checkout, with a database of its own."""

    def __init__(self, server_url: str, root: Path) -> None:
        super().__init__(server_url)
        self.root = root
        self.statement = (root / "sql" / "realtime.sql").read_text()
        counted = (
            "SIGNALS" if "track_max_signals_per_minute" in (root / "app" / "settings.py").read_text() else "REQUESTS"
        )
        self._environment = {
            "PYTHONPATH": str(root),
            "PULSEHOUSE_CLICKHOUSE_URL": self.url,
            f"PULSEHOUSE_TRACK_MAX_{counted}_PER_MINUTE": "0",
        }

    def __enter__(self) -> Self:
        subprocess.run(
            [PULSEHOUSE, "migrate"], env=os.environ | self._environment, cwd=self.root, check=True, capture_output=True
        )
        self.client = clickhouse_connect.get_client(dsn=self.url, autogenerate_session_id=False, compress=False)
        return self

    def serve(self) -> Service:
        return Service([PULSEHOUSE, "serve", "--workers", "1"], self._environment)

    def cpu_ms(self, sites: list[str], now: datetime) -> float:
        """What a statement takes, less what it costs to ask for that."""
        by_id = "{sites:Array(String)}" in self.statement
        parameters = {"sites": sites, "now": now} if by_id else dict(parameters_of(sites, now))
        first = self.events()
        second = self.events()
        self.client.raw_query(self.statement, parameters)
        third = self.events()
        used_us = (third - second)["OSCPUVirtualTimeMicroseconds"] - (second - first)["OSCPUVirtualTimeMicroseconds"]
        return max(used_us, 1) / 1000

    def settle(self) -> None:
        """Wait until nothing is merged, and have it stay so."""
        while self._number("SELECT count() FROM system.merges WHERE database = currentDatabase()"):
            time.sleep(0.5)
        for table in TABLES:
            self.client.command(f"SYSTEM STOP MERGES {table}")

    def bytes_per_signal(self) -> float:
        stored = self._number(
            "SELECT sum(bytes_on_disk) FROM system.parts "
            "WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}",
            {"tables": list(TABLES)},
        )
        return stored / self.count("signals")

    def _number(self, query: str, parameters: dict[str, Any] | None = None) -> float:
        return float(self.client.query(query, parameters).result_rows[0][0])


class Compared(msgspec.Struct, frozen=True):
    """Medians of both, and the median of the ratios with its quartiles."""

    what: str
    ours: float
    other: float
    ratio: float
    low: float
    high: float
    limit: float | None
    """The most that the ratio should be."""


class Results(msgspec.Struct, frozen=True):
    other: str
    """The version compared with."""
    at: str
    compared: list[Compared]


class Comparison:
    """Measures both in turns, and keeps what comes out."""

    def __init__(self, ours: Version, other: Version) -> None:
        self._sides = (ours, other)
        self.found: list[Compared] = []

    def add(self, what: str, measured: Callable[[Version], float], rounds: int, limit: float | None = None) -> None:
        turns = [[measured(side) for side in self._sides] for _ in range(rounds)]
        ours, other = (statistics.median(column) for column in zip(*turns, strict=True))
        ratios = [mine / theirs for mine, theirs in turns]
        low, middle, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
        self.found.append(Compared(what, ours, other, middle, low, high, limit))
        print(f"  {what}: {ours:,.4g} / {other:,.4g} = {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


def statements(comparison: Comparison, now: datetime, rounds: int) -> None:
    for asked, limit in ASKED.items():

        def measured(version: Version, asked: int = asked) -> float:
            sites = [f"site_{site}" for site in random.sample(range(1, SITES + 1), asked)]
            return version.cpu_ms(sites or ["site_5_without_visitors"], now)

        what = f"{asked:,} site{'s' * (asked > 1)}" if asked else "a site without visitors"
        comparison.add(f"statement, CPU ms, {what}", measured, rounds, limit)


def writes(comparison: Comparison, rounds: int, seconds: float) -> None:
    """Single signals, each version with a worker and the steady sender of its own while it is measured."""
    found: dict[str, Callable[[Version], float]] = {}

    def measured(measure: Callable[[Version, Service], float]) -> Callable[[Version], float]:
        def run(version: Version) -> float:
            with version.serve() as service, steady_writer(service, sites=SITES, program="bench.singles"):
                return measure(version, service)

        return run

    found["ClickHouse CPU µs per signal, 1,000 single signals/s"] = measured(
        lambda version, _: cpu_us_per_signal(version, seconds)
    )
    for callers in CALLERS:
        found[f"ms until acknowledged, median, callers one after the other: {callers}"] = measured(
            lambda _, service, callers=callers: acknowledged_ms(service, callers, seconds)  # type: ignore[misc]
        )
    for what, measure in found.items():
        comparison.add(what, measure, rounds, 1 if "CPU" in what else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a folder with the other version")
    parser.add_argument("--clickhouse", metavar="URL", default=os.environ.get("CLICKHOUSE_URL"))
    parser.add_argument("--rounds", type=int, default=41, help="turns of the statement")
    parser.add_argument("--only", choices=("statements", "writes"))
    parser.add_argument("--output", type=Path, help="where the results go, as JSON")
    args = parser.parse_args()
    if not args.clickhouse:
        parser.error("name a ClickHouse server by --clickhouse or CLICKHOUSE_URL")
    with Version(args.clickhouse, ROOT) as ours, Version(args.clickhouse, args.checkout.resolve()) as other:
        comparison = Comparison(ours, other)
        now = datetime.now(UTC).replace(microsecond=0)
        for version in (ours, other):
            version.add_sites(SITES)
            version.load(
                traffic(until=now, rate=1_000, seconds=WINDOW_S, sites=SITES, visitors=10_000, skew=True), block=1_000
            )
        if args.only != "statements":
            writes(comparison, 3, 8)
        if args.only != "writes":
            for version in (ours, other):
                version.settle()
            comparison.add("bytes on disk per signal, all tables", Version.bytes_per_signal, 1, 0.8)
            statements(comparison, now, args.rounds)
    if args.output:
        commit = subprocess.run(
            ["git", "-C", args.checkout, "describe", "--always"], check=True, capture_output=True, text=True
        ).stdout.strip()
        results = Results(commit, f"{now:%Y-%m-%d %H:%M} UTC", comparison.found)
        args.output.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


if __name__ == "__main__":
    main()
