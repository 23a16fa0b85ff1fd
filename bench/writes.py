"""P5 and P6: signals in."""

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.harness import Database, Service, serve, serve_fixed, steady_writer, wrk
from bench.http import SITES, alone, ratios

if TYPE_CHECKING:
    from bench.__main__ import Report

COLUMNS = {
    "site_id": "LowCardinality(String)",
    "timestamp": "DateTime64(6, 'UTC')",
    "type": "LowCardinality(String)",
    "visitor_id": "UInt64",
    "page": "String",
    "country": "LowCardinality(String)",
}


def measure(database: Database, report: "Report", *, quick: bool) -> None:
    rounds, seconds = (2, 2) if quick else (5, 4)
    blocks = 10 if quick else 30
    with serve(database.url) as ours, serve_fixed() as fixed, steady_writer(ours, sites=SITES):
        fixed.pause()
        singles, ceiling, batches, inserted = [], [], [], []
        for _ in range(rounds):
            singles.append(_committed(database, ours, "track", 512, seconds))
            ceiling.append(alone(fixed, "fixed_post", 512, seconds).requests_per_s)
            batches.append(_committed(database, ours, "batch", 128, seconds))
            inserted.append(_insert(database, blocks))
        report.tell("P5", "single signals/s committed", singles)
        report.tell("P5", "requests/s, handler that reads the body, fixed bytes", ceiling)
        report.at_least("P5", "single signals / fixed bytes", ratios(singles, ceiling), 0.25)
        report.tell("P6", "signals/s committed in batches of 100", batches)
        report.tell("P6", "rows/s, client.insert in blocks of 10,000", inserted)
        report.at_least("P6", "batches / client.insert", ratios(batches, inserted), 0.3)
        log = [line for line in ours.process.output().splitlines() if " INFO " not in line]
        report.console.print("\n".join(log[:5]))


def _committed(database: Database, service: Service, script: str, connections: int, seconds: float) -> float:
    """Signals stored per second by the count of their rows, without the 1,000 of the steady writer."""
    before, started_s = database.count("signals"), time.monotonic()
    load = wrk(service.url, script, connections=connections, seconds=seconds)
    stored = database.count("signals") - before
    if load.failed:
        raise RuntimeError(f"{load.failed} requests of {script} failed")
    return round((stored - 1_000 * (time.monotonic() - started_s)) / seconds, 1)


def _insert(database: Database, blocks: int) -> float:
    """Rows per second by the client's own insert, through the same views."""
    now = datetime.now(UTC)
    rows = [
        [
            f"site_{random.randint(1, SITES)}",
            now,
            "pageview",
            random.getrandbits(64),
            f"/page/{random.randint(1, 300)}",
            "DE",
        ]
        for _ in range(10_000)
    ]
    started_s = time.monotonic()
    for _ in range(blocks):
        for row in rows:
            row[3] = random.getrandbits(64)
        database.client.insert(
            "signals",
            rows,
            column_names=list(COLUMNS),
            column_type_names=list(COLUMNS.values()),
            settings={"async_insert": 0, "max_insert_threads": 1, "insert_deduplicate": 0},
        )
    return round(blocks * 10_000 / (time.monotonic() - started_s), 1)
