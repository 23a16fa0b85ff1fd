"""What the harness stands on: ClickHouse, a server or several, a proxy before each, and the API with its workers."""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import msgspec
from clickhouse_connect.driver.client import Client

from app.settings import Settings, read_settings
from app.store.cluster import OWN
from app.store.statements import load_statements
from faults.proxy import Mode, Proxy
from tests.kit.ports import free_port
from tests.kit.servers import make_servers
from tests.kit.service import PULSEHOUSE, ROOT, environment, worker_pids

DATABASE = "test_faults"
CLUSTER = "pulsehouse"
SQL = load_statements(Path(__file__).parent / "sql")
# All who send here, good or bad, share one address; the limits per address are not what is tried.
NO_RATE_LIMITS = {field.name: "0" for field in msgspec.structs.fields(Settings) if field.name.startswith("track_max_")}


class Ground:
    """ClickHouse, a server for each shard, a proxy before each, and the API with its workers."""

    def __init__(self, clickhouse: str, folder: str, workers: int, shards: int = 1) -> None:
        self.api_port = free_port()
        self.shards = shards
        self.servers = make_servers(clickhouse, Path(folder), {CLUSTER: range(shards)}, shards)
        self.proxies = [Proxy(server.port) for server in self.servers]
        self._workers = workers
        self._api: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def settings(self) -> Settings:
        """Those that the API was started with."""
        return read_settings(self._environment())

    def shard_of(self, site_id: str) -> int:
        """The shard of a site, from 0 (docs/cluster.md, What is where)."""
        return int.from_bytes(sha256(site_id.encode()).digest()[:8], "little") % self.shards

    async def start(self) -> None:
        """Start ClickHouse and the proxies."""
        await asyncio.gather(*map(self.start_clickhouse, range(self.shards)))
        for proxy in self.proxies:
            await proxy.start()

    async def start_clickhouse(self, shard: int = 0) -> None:
        self.servers[shard].start()
        await _until_200(f"http://127.0.0.1:{self.servers[shard].port}/ping", 60)

    def signal_clickhouse(self, number: signal.Signals) -> None:
        """Send a signal to every server."""
        for server in self.servers:
            server.send(number)

    def let_pass(self, mode: Mode = "pass") -> None:
        """Have every proxy do this from now on."""
        for proxy in self.proxies:
            proxy.mode = mode

    def query(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query of faults/sql where the rows are, past the proxies, and return those of all shards."""
        found: list[tuple[Any, ...]] = []
        for shard in range(self.shards):
            with self._client(shard, DATABASE + OWN if self.shards > 1 else DATABASE) as client:
                found += [tuple(row) for row in client.query(SQL[name].text, dict(parameters or {})).result_rows]
        return found

    def execute(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement of faults/sql that changes something, past the proxies."""
        with self._client(0, DATABASE) as client:
            client.command(SQL[name].text, dict(parameters))

    def _client(self, shard: int, database: str) -> Client:
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.servers[shard].port, database=database)

    def _environment(self) -> dict[str, str]:
        urls = ",".join(f"http://127.0.0.1:{proxy.port}/{DATABASE}" for proxy in self.proxies)
        cluster = CLUSTER if self.shards > 1 else ""
        return environment(clickhouse_url=urls, clickhouse_cluster=cluster, **self._settings)

    async def command(self, *arguments: str, lines: str = "") -> dict[str, str]:
        """Run `pulsehouse ... --json`, given these lines, and return what it prints."""
        line = [PULSEHOUSE, *arguments, "--json"]
        process = await asyncio.create_subprocess_exec(
            *line, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate(lines.encode())
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
        for server in self.servers:
            server.end()
        if self._api:
            with suppress(ProcessLookupError):
                os.killpg(self._api.pid, signal.SIGKILL)
            self._api.wait()


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
