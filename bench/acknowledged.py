"""P11: until a single signal is acknowledged while others keep arriving, and what each costs ClickHouse."""

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from bench.harness import Database, Service, serve, steady_writer
from bench.http import SITES
from bench.singles import call

if TYPE_CHECKING:
    from bench.__main__ import Report

CALLERS = (1, 32)


def measure(database: Database, report: "Report", *, quick: bool) -> None:
    rounds, seconds = (2, 2) if quick else (5, 6)
    cpu_us: list[float] = []
    took_ms: dict[int, list[float]] = {callers: [] for callers in CALLERS}
    with serve(database.url) as service, steady_writer(service, sites=SITES, program="bench.singles"):
        for _ in range(rounds):
            cpu_us.append(cpu_us_per_signal(database, seconds))
            for callers in CALLERS:
                took_ms[callers].append(acknowledged_ms(service, callers, seconds))
    report.tell("P11", "µs of ClickHouse's CPU per signal, 1,000 single signals/s", cpu_us)
    for callers, found in took_ms.items():
        who = "one caller" if callers == 1 else f"{callers} callers"
        report.at_most("P11", f"ms until a signal of {who} is acknowledged, median, 1,000 others/s", found, 40)


def cpu_us_per_signal(database: Database, seconds: float) -> float:
    """What ClickHouse spends on INSERTs, views and merges, for each signal that it stores meanwhile."""
    events, stored = database.events(), database.count("signals")
    time.sleep(seconds)
    used_us = (database.events() - events)["OSCPUVirtualTimeMicroseconds"]
    return round(used_us / (database.count("signals") - stored), 1)


def acknowledged_ms(service: Service, callers: int, seconds: float) -> float:
    took_s = asyncio.run(call(service.url, callers=callers, seconds=seconds, sites=SITES))
    return round(statistics.median(took_s) * 1000, 2)
