"""The command `pulsehouse` in processes of its own, as it is installed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import clickhouse_connect
import httpx

from app.cli.serve import _stop_within_s
from app.settings import Settings
from tests.conftest import BROWSER

ROOT = Path(__file__).parent.parent
PULSEHOUSE = str(Path(sys.executable).parent / "pulsehouse")

Result = subprocess.CompletedProcess[str]


def environment(**settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULSEHOUSE_")}
    return inherited | {f"PULSEHOUSE_{name.upper()}": value for name, value in settings.items()}


def run(*arguments: str, **settings: str) -> Result:
    return subprocess.run(
        [PULSEHOUSE, *arguments], env=environment(**settings), capture_output=True, text=True, timeout=60
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def drop(url: str) -> None:
    server, _, name = url.rpartition("/")
    client = clickhouse_connect.get_client(dsn=f"{server}/default")
    client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
    client.close()


class Service:
    """`pulsehouse serve` in a process of its own."""

    COMMAND = (PULSEHOUSE, "serve")

    def __init__(self, *arguments: str, port: int | None = None, **settings: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*self.COMMAND, "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**settings), stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Service":
        give_up_s = time.monotonic() + 30
        while time.monotonic() < give_up_s and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.process.communicate()[1])

    def __exit__(self, *_: object) -> None:
        """End it, its workers too: killed, it would leave them behind."""
        if self.process.poll() is None:
            self.stop()
        self.process.communicate()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end, which it has the documented time for; return its exit code and what it logged."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=_stop_within_s(Settings()))
        return self.process.returncode, log

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path)

    def poll(self, token: str, site_id: str = "site_a") -> httpx.Response:
        """One poll on a connection of its own: any of the workers may get it."""
        return httpx.get(
            f"{self.url}/api/realtime", params={"siteId": site_id}, headers={"Authorization": f"Bearer {token}"}
        )

    def track(self, site_id: str = "site_a", path: str = "/", user_agent: str = BROWSER) -> httpx.Response:
        """One signal on a connection of its own."""
        return httpx.post(
            f"{self.url}/api/track", json={"siteId": site_id, "path": path}, headers={"User-Agent": user_agent}
        )


class ClockedService(Service):
    """The same with a clock that stands still until the test moves it (tests/clocked.py)."""

    COMMAND = (sys.executable, "-m", "tests.clocked")
