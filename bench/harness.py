"""What the measurements stand on: a filled database, running services, a steady writer, wrk."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import urlopen

import clickhouse_connect
from prometheus_client.parser import text_string_to_metric_families

from app.cli.database import with_store
from app.store.store import Store
from tests.kit.ports import free_port
from tests.kit.service import PULSEHOUSE, ROOT, worker_pids

BENCH = Path(__file__).resolve().parent
REALTIME = (ROOT / "sql" / "realtime.sql").read_text()
HISTORY = (ROOT / "sql" / "history.sql").read_text()
SQL = {path.stem: path.read_text() for path in sorted((BENCH / "sql").glob("*.sql"))}

WINDOW_S = 330
"""The five minute buckets of an answer, and a little more."""


def traffic(
    *, until: datetime, rate: float, seconds: float, sites: int, visitors: int, skew: bool
) -> dict[str, int | float | datetime]:
    """The parameters of bench/sql/load.sql: `rate` signals a second for `seconds`, up to an instant."""
    return {
        "start": until - timedelta(seconds=seconds),
        "rate": float(rate),
        "signals": int(rate * seconds),
        "sites": sites,
        "skew": int(skew),
        "visitors": visitors,
    }


class Database:
    """A throw-away database bench_* with the project's tables, dropped at the end."""

    def __init__(self, server_url: str) -> None:
        server_url = server_url.rpartition("/")[0] if urlsplit(server_url).path else server_url
        self.name = f"bench_{uuid.uuid4().hex[:12]}"
        self.url = f"{server_url}/{self.name}"
        self.settings = {"clickhouse_url": self.url}
        """Of a service on it."""

    def __enter__(self) -> Self:
        with_store(_applied, {f"PULSEHOUSE_{name.upper()}": value for name, value in self.settings.items()})
        self.client = clickhouse_connect.get_client(
            dsn=self.url,
            autogenerate_session_id=False,
            compress=False,
            settings={"distributed_foreground_insert": 1},  # on a cluster
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.client.command(f"DROP DATABASE IF EXISTS {self.name}")
        self.client.close()

    def add_sites(self, sites: int) -> None:
        """Sites site_1 ... site_N with two keys each, and one key that writes to all of them."""
        for name in ("add_sites", "add_keys"):
            self.client.command(SQL[name], {"sites": sites})

    def load(self, parameters: Mapping[str, int | float | datetime], *, block: int) -> None:
        """Write the traffic that the parameters describe, `block` rows to a part."""
        self.client.command(
            SQL["load"],
            dict(parameters),
            settings={
                "async_insert": 0,
                "max_threads": 1,
                "max_insert_threads": 1,
                "max_block_size": block,
                "min_insert_block_size_rows": block,
                "min_insert_block_size_bytes": 0,
                "max_partitions_per_insert_block": 0,
            },
        )

    def events(self) -> Counter[str]:
        """What the whole server has counted since it started: rows merged, CPU time, marks read and so on."""
        return Counter({str(name): int(value) for name, value in self.client.query(SQL["events"]).result_rows})

    def count(self, table: str) -> int:
        return int(self.client.query(f"SELECT count() FROM {table}").result_rows[0][0])


async def _applied(store: Store) -> list[str]:
    return store.applied


class Process:
    """A program of the benchmark's own, ended with it."""

    def __init__(self, command: list[str], settings: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, env=os.environ | dict(settings or {}), cwd=ROOT, stdout=self._log, stderr=subprocess.STDOUT
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def output(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._log.close()


class Service:
    """A service that answers HTTP on a port of this machine."""

    def __init__(self, command: list[str], settings: Mapping[str, str] | None = None, ready: str = "/ready") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = ready
        self._command = [*command, "--port", str(self.port)]
        self._settings = settings

    def __enter__(self) -> Self:
        self.process = Process(self._command, self._settings)
        give_up_s = time.monotonic() + 60
        while self._status() != 200:
            if self.process.ended or time.monotonic() > give_up_s:
                raise RuntimeError(f"{self._command} did not start:\n{self.process.output()}")
            time.sleep(0.1)
        time.sleep(1)  # the other workers
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            for pid in self.worker_pids():
                os.kill(pid, signal.SIGCONT)
        self.process.stop()

    def _status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", self._ready)
            return connection.getresponse().status
        return 0

    def worker_pids(self) -> list[int]:
        """The processes that answer: the children of a granian, else the process itself."""
        return sorted(worker_pids(self.process.pid)) or [self.process.pid]

    def pause(self) -> None:
        """Stand still while others are measured."""
        for pid in self.worker_pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.worker_pids():
            os.kill(pid, signal.SIGCONT)
        time.sleep(1.5)  # until sites and keys are fresh again

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run for a while, so that its refreshes do not weigh on the others before and after."""
        self.resume()
        yield
        time.sleep(1)  # for what wrk left behind
        self.pause()

    def metrics(self) -> Counter[str]:
        """What /metrics tells, each name added up over its labels."""
        with urlopen(f"{self.url}/metrics") as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] += sample.value  # type: ignore[assignment]
        return found

    def memory_mb(self) -> float:
        """Resident memory of the largest worker."""
        return max(resident_mb(pid) for pid in self.worker_pids())


def serve(database_url: str | None, *, workers: int = 1, **settings: str | int) -> Service:
    """`pulsehouse serve` without a rate limit; on the embedded engine where there is no URL."""
    environment = {"PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE": "0"}
    environment |= {f"PULSEHOUSE_{name.upper()}": str(value) for name, value in settings.items()}
    if database_url:
        environment["PULSEHOUSE_CLICKHOUSE_URL"] = database_url
    return Service([PULSEHOUSE, "serve", "--workers", str(workers)], environment)


def serve_fixed(*, workers: int = 1, size: int = 2_000) -> Service:
    """The ceiling: a Litestar handler that returns `size` fixed bytes, on the same server with the same options."""
    return Service([sys.executable, "-m", "bench.fixed", "--workers", str(workers), "--size", str(size)], ready="/get")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextlib.contextmanager
def steady_writer(
    service: Service, *, sites: int, rate: int = 1_000, program: str = "bench.writer"
) -> Iterator[Process]:
    """Signals that keep arriving through POST /api/track, in a process of their own: in batches or single."""
    command = [sys.executable, "-m", program, "--url", service.url, "--sites", str(sites), "--rate", str(rate)]
    writer = Process(command)
    time.sleep(2)
    try:
        yield writer
        if writer.ended:
            raise RuntimeError(f"the writer ended:\n{writer.output()}")
    finally:
        writer.stop()


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    """Answers that were no 2xx, and requests without an answer."""


def wrk(
    url: str,
    script: str,
    *,
    connections: int,
    seconds: float,
    sites: int = 1_000,
    threads: int = 1,
    delay_ms: int = 0,
    among: Sequence[int] = (),
) -> Load:
    """Load a service from `connections` connections; each waits `delay_ms` on average before a request.

    The script `poll` asks for the sites `among` alone, where some are given.
    """
    command = ["wrk", "-t", str(min(threads, connections)), "-c", str(connections), "-d", f"{seconds:g}s"]
    command += ["--timeout", "15s", "-s", str(BENCH / f"{script}.lua"), url, "--", str(sites), str(delay_ms)]
    command += [" ".join(map(str, among))] if among else []
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(output.rpartition("RESULT")[2])
    return Load(
        round(found["requests"] / found["seconds"], 1),
        round(found["p50"] / 1000, 2),
        round(found["p99"] / 1000, 2),
        round(found["max"] / 1000, 2),
        found["failed"],
    )
