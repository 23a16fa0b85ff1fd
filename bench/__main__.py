"""`make bench`: measure targets P1 to P12 and the growth curves side by side on one server, and say what holds.

    python -m bench --clickhouse http://default:@127.0.0.1:8123        under 30 minutes
    python -m bench --quick                                            5, with CLICKHOUSE_URL set

Alternatives take turns (A B A B), so that the machine's other load falls on all alike; what counts are ratios.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import acknowledged, agency, embedded, http, memory, peer, profile, statement, writes
from bench.harness import Database
from tests.kit.service import ROOT


@dataclass(frozen=True)
class Target:
    """A measured number beside its target."""

    name: str
    what: str
    value: float
    lowest: float
    highest: float
    limit: str
    holds: bool | None
    """None: reported only."""


class Report:
    """Collects what is measured; prints it as it comes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.targets: list[Target] = []
        self.curves: dict[str, Any] = {}

    def at_least(self, name: str, what: str, values: list[float], limit: float) -> None:
        self._add(name, what, values, f">= {limit:g}", statistics.median(values) >= limit)

    def at_most(self, name: str, what: str, values: list[float], limit: float) -> None:
        self._add(name, what, values, f"<= {limit:g}", statistics.median(values) <= limit)

    def tell(self, name: str, what: str, values: list[float]) -> None:
        self._add(name, what, values, "", None)

    def curve(self, name: str, rows: Any) -> None:
        self.curves[name] = rows

    def _add(self, name: str, what: str, values: list[float], limit: str, holds: bool | None) -> None:
        target = Target(name, what, round(statistics.median(values), 3), min(values), max(values), limit, holds)
        self.targets.append(target)
        mark = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: ""}[holds]
        self.console.print(f"  {name:4} {what}: [bold]{show(target.value)}[/] {limit} {mark}")

    def table(self) -> Table:
        table = Table(title="Targets", title_justify="left")
        for column in ("", "what", "median", "lowest", "highest", "target", ""):
            table.add_column(column, justify="right" if column in ("median", "lowest", "highest") else "left")
        for row in self.targets:
            mark = {True: "[green]holds", False: "[red]does not hold", None: ""}[row.holds]
            table.add_row(
                row.name,
                row.what,
                show(row.value),
                show(row.lowest),
                show(row.highest),
                row.limit.replace("[", r"\["),
                mark,
            )
        return table


def show(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": cpu.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_average_before": os.getloadavg(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--clickhouse", metavar="URL", default=os.environ.get("CLICKHOUSE_URL"), help="or CLICKHOUSE_URL"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller data sets; 5 minutes")
    parser.add_argument(
        "--only",
        nargs="*",
        metavar="PART",
        help="http, writes, acknowledged, profile, memory, agency, embedded, statement, peer",
    )
    parser.add_argument("--output", type=Path, help="where the results go, as JSON")
    args = parser.parse_args()
    if not args.clickhouse:
        parser.error("name a ClickHouse server by --clickhouse or CLICKHOUSE_URL; the databases bench_* are made there")
    output = args.output or ROOT / "bench" / ("results-quick.json" if args.quick else "results.json")
    if not shutil.which("wrk"):
        parser.error("wrk is missing: apt-get install wrk")

    console = Console(width=None if sys.stdout.isatty() else 130)
    report = Report(console)
    about = machine()
    started_s = time.monotonic()

    def run(name: str, part: Callable[[], None]) -> None:
        if not args.only or name in args.only:
            console.rule(f"{name} ({time.monotonic() - started_s:.0f} s)", align="left")
            part()

    if not args.only or {"http", "writes", "acknowledged", "profile", "memory"} & set(args.only):
        with Database(args.clickhouse) as database:
            about["clickhouse"] = str(database.client.command("SELECT version()"))
            console.rule("a day of history, then five minutes at 1,000 signals/s", align="left")
            http.fill(database, quick=args.quick)
            run("http", lambda: http.measure(database, report, quick=args.quick))
            if not args.quick:  # before the writes, which fill the window with far more than 1,000 signals/s
                run("profile", lambda: profile.measure(database, report))
            run("acknowledged", lambda: acknowledged.measure(database, report, quick=args.quick))
            run("writes", lambda: writes.measure(database, report, quick=args.quick))
            run("memory", lambda: memory.measure(database, report, quick=args.quick))
    run("agency", lambda: agency.measure(args.clickhouse, report, quick=args.quick))
    run("embedded", lambda: embedded.measure(args.clickhouse, report, quick=args.quick))
    run("statement", lambda: statement.measure(args.clickhouse, report, quick=args.quick))

    run("peer", lambda: peer.measure(args.clickhouse, report, quick=args.quick))

    report.targets.sort(key=lambda target: int(target.name[1:]))
    if report.targets:  # a profile alone has none
        console.print(report.table())
    about["seconds"] = round(time.monotonic() - started_s)
    result = {
        "quick": args.quick,
        "machine": about,
        "targets": [asdict(target) for target in report.targets],
        "curves": report.curves,
    }
    output.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"{about['seconds']} s; results in {output}")


if __name__ == "__main__":
    main()
