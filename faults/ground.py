"""What the harness stands on: ClickHouse, the proxy before it, and the API with its workers."""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import msgspec
from clickhouse_connect.driver.client import Client

from app.settings import Settings, read_settings
from app.store.statements import load_statements
from faults.proxy import Proxy
from tests.kit.ports import free_port
from tests.kit.service import PULSEHOUSE, ROOT, environment, worker_pids

DATABASE = "test_faults"
SQL = load_statements(Path(__file__).parent / "sql")
# All who send here, good or bad, share one address; the limits per address are not what is tried.
NO_RATE_LIMITS = {field.name: "0" for field in msgspec.structs.fields(Settings) if field.name.startswith("track_max_")}


class Ground:
    """ClickHouse, the proxy before it, and the API with its workers."""

    def __init__(self, clickhouse: str, folder: str, workers: int) -> None:
        self.clickhouse_port, self.api_port = free_port(), free_port()
        self._command = clickhouse.format(port=self.clickhouse_port, path=folder)
        self._workers = workers
        self.proxy = Proxy(self.clickhouse_port)
        self._clickhouse: subprocess.Popen[bytes] | None = None
        self._api: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def settings(self) -> Settings:
        """Those that the API was started with."""
        return read_settings(self._environment())

    async def start_clickhouse(self) -> None:
        self._clickhouse = subprocess.Popen(
            self._command, shell=True, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await _until_200(f"http://127.0.0.1:{self.clickhouse_port}/ping", 60)

    def signal_clickhouse(self, number: signal.Signals) -> None:
        assert self._clickhouse
        os.killpg(self._clickhouse.pid, number)
        if number == signal.SIGKILL:
            self._clickhouse.wait()

    def query(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query of faults/sql, past the proxy, and return its rows."""
        with self._client() as client:
            return [tuple(row) for row in client.query(SQL[name].text, dict(parameters or {})).result_rows]

    def execute(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement of faults/sql that changes something, past the proxy."""
        with self._client() as client:
            client.command(SQL[name].text, dict(parameters))

    def _client(self) -> Client:
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.clickhouse_port, database=DATABASE)

    def _environment(self) -> dict[str, str]:
        return environment(clickhouse_url=f"http://127.0.0.1:{self.proxy.port}/{DATABASE}", **self._settings)

    async def command(self, *arguments: str) -> dict[str, str]:
        """Run `pulsehouse ... --json` and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            PULSEHOUSE, *arguments, "--json", env=self._environment(), stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return dict(json.loads(output))

    async def start_api(self, settings: Mapping[str, str] | None = None) -> None:
        """Start it with these settings, or with those of the last time."""
        if settings is not None:
            self._settings = {**NO_RATE_LIMITS, **settings}
        self._api = subprocess.Popen(
            [PULSEHOUSE, "serve", "--port", str(self.api_port), "--workers", str(self._workers)],
            cwd=ROOT,
            env=self._environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await _until_200(f"{self.url}/ready", 90)

    def _worker_pids(self) -> list[int]:
        assert self._api
        with suppress(OSError):
            return sorted(worker_pids(self._api.pid))
        return []

    def worker_memory_mb(self) -> float:
        """The most resident memory that any running worker has had since it was started."""
        return max((_highest_mb(pid) for pid in self._worker_pids()), default=0.0)

    def kill_worker(self, chance: random.Random) -> None:
        if workers := self._worker_pids():
            os.kill(chance.choice(workers), signal.SIGKILL)

    async def stop_api(self) -> tuple[int, float]:
        """SIGTERM; return the exit code and how many seconds it took to come."""
        assert self._api
        started_s = time.monotonic()
        self._api.terminate()
        code = await asyncio.to_thread(self._api.wait)
        return code, time.monotonic() - started_s

    def end(self) -> None:
        """Kill what still runs, workers included."""
        for process in (self._api, self._clickhouse):
            if process:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _highest_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


async def _until_200(url: str, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=2) as client:
        while time.monotonic() < give_up:
            with suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit(f"faults: {url} did not answer 200 within {seconds:.0f} s")
