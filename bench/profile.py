"""Where the time goes: who uses the cores while polls come in, and what one statement is made of."""

import os
import random
import resource
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from app.store.reads import parameters_of
from bench.harness import REALTIME, Database, serve, steady_writer, wrk
from bench.http import CONNECTIONS, SITES

if TYPE_CHECKING:
    from bench.__main__ import Report

PARTS = {
    "CPU, ms": ("OSCPUVirtualTimeMicroseconds", 1000),
    "parse, ms": ("QueryParseMicroseconds", 1000),
    "resolve names and types, ms": ("QueryAnalysisMicroseconds", 1000),
    "plan, ms": ("QueryPlanBuildMicroseconds", 1000),
    "build the pipeline, ms": ("QueryPipelineBuildMicroseconds", 1000),
    "of it finding granules, ms": ("FilteringMarksWithPrimaryKeyMicroseconds", 1000),
    "read from files, ms": ("DiskReadElapsedMicroseconds", 1000),
    "parts": ("SelectedParts", 1),
    "granules": ("SelectedMarks", 1),
    "compressed blocks": ("CompressedReadBufferBlocks", 1),
    "MB decompressed": ("CompressedReadBufferBytes", 1_000_000),
    "rows": ("SelectedRows", 1),
}
"""Names of ClickHouse's counters, and what to divide them by."""


def measure(database: Database, report: "Report") -> None:
    with serve(database.url) as service, steady_writer(service, sites=SITES) as writer:
        wrk(service.url, "poll", connections=CONNECTIONS, seconds=2)
        pids = {"the API worker": service.worker_pids(), "the writer": [writer.pid]}
        events, metrics, started_s = database.events(), service.metrics(), time.monotonic()
        used = used_s(pids)
        polls = wrk(service.url, "poll", connections=CONNECTIONS, seconds=20).requests_per_s
        took_s = time.monotonic() - started_s
        events, metrics = database.events() - events, service.metrics() - metrics
        used = {name: ended_s - used[name] for name, ended_s in used_s(pids).items()}
        now = datetime.now(UTC).replace(microsecond=0)
    used["ClickHouse, statements, INSERTs and merges"] = events["OSCPUVirtualTimeMicroseconds"] / 1e6
    running = {
        "statements": metrics["pulsehouse_realtime_statement_seconds_sum"],
        "INSERTs": metrics["pulsehouse_insert_seconds_sum"],
        "merges": events["MergeExecuteMilliseconds"] / 1000,
    }
    statements = metrics["pulsehouse_realtime_statement_sites_count"]
    load = {
        "polls per second": polls,
        "statements per second": statements / took_s,
        "sites per statement": metrics["pulsehouse_realtime_statement_sites_sum"] / statements,
        "INSERTs per second": metrics["pulsehouse_insert_seconds_count"] / took_s,
        **{f"cores used by {name}": value / took_s for name, value in sorted(used.items())},
        **{f"{name} under way on average": value / took_s for name, value in running.items()},
    }
    alone = {asked: _statement(database, now, asked, 41) for asked in (0, 1, 150, SITES)}
    _show(report, load, alone)
    report.curve("profile", {"load": load, "statement": alone})


def _statement(database: Database, now: datetime, asked: int, times: int) -> dict[str, float]:
    """Medians over statements for random sites, one at a time, less what it costs to ask for the counters.

    `asked` 0 is a site without visitors.
    """
    found: list[tuple[Counter[str], float]] = []
    idle: list[Counter[str]] = []
    for number in range(times + 2):
        sites = [f"site_{site}" for site in random.sample(range(1, SITES + 1), asked)] or ["site_5_without_visitors"]
        parameters = dict(parameters_of(sites, now))
        first = database.events()
        second = database.events()
        started_s = time.perf_counter()
        database.client.raw_query(REALTIME, parameters)
        took_ms = (time.perf_counter() - started_s) * 1000
        third = database.events()
        if number >= 2:  # caches and compiled expressions
            idle.append(second - first)
            found.append((third - second, took_ms))
    medians = {
        what: max(0, statistics.median(e[name] for e, _ in found) - statistics.median(e[name] for e in idle)) / unit
        for what, (name, unit) in PARTS.items()
    }
    return {"in all, ms": statistics.median(took_ms for _, took_ms in found), **medians}


def used_s(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """CPU seconds, user and system: of running processes by name, and of runs of wrk, the children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = {"wrk": ended.ru_utime + ended.ru_stime}
    for name, running in pids.items():
        used[name] = 0.0
        for pid in running:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used[name] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _show(report: "Report", load: dict[str, float], alone: dict[int, dict[str, float]]) -> None:
    table = Table(title=f"{CONNECTIONS} connections", title_justify="left", show_header=False)
    for what, value in load.items():
        table.add_row(what, f"{value:,.2f}")
    report.console.print(table)
    table = Table("", title="one statement, nothing beside it", title_justify="left")
    for asked in alone:
        table.add_column(f"{asked:,} site{'s' * (asked > 1)}", justify="right")
    for what in alone[1]:
        table.add_row(what, *[f"{found[what]:,.1f}" for found in alone.values()])
    report.console.print(table)
