"""P9: the embedded engine beside the server engine, on the same data."""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.cli.database import with_store
from app.store.statements import Statement
from app.store.store import Store
from bench.harness import SQL, WINDOW_S, Database, serve, steady_writer, traffic, wrk
from bench.http import ratios
from tests.kit.service import ROOT

if TYPE_CHECKING:
    from bench.__main__ import Report

SITES = 200
RATE = 200


def measure(url: str, report: "Report", *, quick: bool) -> None:
    rounds, seconds = (2, 2) if quick else (4, 5)
    found: dict[str, list[float]] = {"embedded": [], "server": []}
    with Database(url) as database, tempfile.TemporaryDirectory(prefix="bench-embedded-") as folder:
        for settings in ({"PULSEHOUSE_DATA_DIR": folder}, {"PULSEHOUSE_CLICKHOUSE_URL": database.url}):
            subprocess.run([sys.executable, "-m", "bench.embedded"], env=os.environ | settings, cwd=ROOT, check=True)
        with (
            serve(None, workers=1, data_dir=folder) as embedded,
            serve(database.url, workers=1) as server,
            steady_writer(embedded, sites=SITES, rate=RATE),
            steady_writer(server, sites=SITES, rate=RATE),
        ):
            for _ in range(rounds):
                for name, service in (("embedded", embedded), ("server", server)):
                    load = wrk(service.url, "poll", connections=64, seconds=seconds, sites=SITES)
                    found[name].append(load.requests_per_s)
    report.tell("P9", "polls/s, embedded engine, 200 sites, 64 connections", found["embedded"])
    report.tell("P9", "polls/s, server engine, one worker", found["server"])
    report.at_least("P9", "embedded / server", ratios(found["embedded"], found["server"]), 0.5)


async def fill(store: Store) -> None:
    """Sites, keys and the window, in whichever engine the environment names."""
    parameters: dict[str, dict[str, Any]] = {
        "add_sites": {"sites": SITES},
        "add_keys": {"sites": SITES},
        "load": traffic(until=datetime.now(UTC), rate=RATE, seconds=WINDOW_S, sites=SITES, visitors=10_000, skew=True),
    }
    for name, given in parameters.items():
        await store.engine.execute(Statement(name, SQL[name]), given)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with_store(fill)
