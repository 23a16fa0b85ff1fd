"""P8: memory."""

import time
from typing import TYPE_CHECKING

from bench.harness import Database, Service, serve, wrk
from tests.kit.service import PULSEHOUSE

if TYPE_CHECKING:
    from bench.__main__ import Report


def measure(database: Database, report: "Report", *, quick: bool) -> None:
    with serve(database.url) as service:
        for script in ("poll", "track"):
            wrk(service.url, script, connections=256, seconds=2 if quick else 5)
        report.at_most("P8", "MB, an API worker, 10,000 sites, 20,000 keys, after load", [service.memory_mb()], 200)
    with Service([PULSEHOUSE, "demo"]) as demo:
        most = 0.0
        for _ in range(5 if quick else 30):
            time.sleep(1)
            most = max(most, demo.memory_mb())
    report.at_most("P8", f"MB, the embedded process under the demo, most in {5 if quick else 30} s", [most], 1_000)
