"""The command `pulsehouse`, as it is installed."""

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx
from click.testing import CliRunner

from app.cli.main import main
from app.cli.serve import time_to_stop_s
from app.settings import Settings
from tests.kit.ports import free_port
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import wait_until

ROOT = Path(__file__).parents[2]
PULSEHOUSE = str(Path(sys.executable).parent / "pulsehouse")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
"""When a line was logged."""
COMMAND_WITHIN_S = 120
ANSWER_WITHIN_S = 60
"""Much longer than any answer takes; one that does not come fails the test."""

Result = subprocess.CompletedProcess[str]

_libc = ctypes.CDLL(None)


def end_with_tests() -> None:
    """Have a process that the tests start killed when they end, however they end: its `preexec_fn`."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of linux/prctl.h


def environment(**settings: str) -> dict[str, str]:
    """That of the tests with these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULSEHOUSE_")}
    return inherited | {f"PULSEHOUSE_{name.upper()}": value for name, value in settings.items()}


def run(*arguments: str, **settings: str) -> Result:
    """Run a command in a process of its own."""
    return subprocess.run(
        [PULSEHOUSE, *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )


def run_here(*arguments: str, **settings: str) -> Result:
    """The same in this process, which is faster; never on the embedded engine, as this process has its folder open."""
    given = {name: value for name, value in environment(**settings).items() if name.startswith("PULSEHOUSE_")}
    with log_as_before():
        result = CliRunner().invoke(main, arguments, prog_name="pulsehouse", env=given)
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


@contextmanager
def log_as_before() -> Iterator[None]:
    """Set the log of this process back: a command has it write to where the command itself wrote."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], sys.excepthook = handlers, hook
        root.setLevel(level)
        logging.captureWarnings(False)


def make(*commands: tuple[str, ...], **settings: str) -> list[Any]:
    """Run commands that make something, all in one process; return what each prints.

    That is this process where the database is on a server, else one of its own (tests/kit/commands.py).
    """
    commands = tuple((*command, "--json") for command in commands)
    if "clickhouse_url" in settings:
        results = [run_here(*command, **settings) for command in commands]
        assert not [result.stderr for result in results if result.returncode]
        return [json.loads(result.stdout) for result in results]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kit.commands"],
        cwd=ROOT,
        env=environment(**settings),
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def site(site_id: str = "site_a", tenant: str = "acme", domain: str = "example.com") -> tuple[str, ...]:
    """The command that adds a site."""
    return "site", "add", "--tenant", tenant, "--domain", domain, "--id", site_id, "--name", site_id


def key(scope: str = "read", tenant: str = "acme") -> tuple[str, ...]:
    """The command that creates a key."""
    return "key", "create", "--tenant", tenant, "--scope", scope


def worker_pids(pid: int) -> set[int]:
    """The process ids of the workers of a `pulsehouse serve --workers`."""
    found = set()
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:  # it has just ended
            continue
        if b"spawn_main" in command:
            found.add(child)
    return found


def is_ready(url: str) -> bool:
    """Whether a service answers there, and can."""
    try:
        return httpx.get(f"{url}/ready", timeout=ANSWER_WITHIN_S).status_code == 200
    except httpx.TransportError:
        return False


class Service:
    """`pulsehouse serve` in a process of its own."""

    COMMAND: ClassVar[tuple[str, ...]] = (PULSEHOUSE, "serve")

    def __init__(self, *arguments: str, port: str = "", **settings: str) -> None:
        """Start it; the block of `with` begins when it is ready."""
        self.port = int(port) if port else free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*self.COMMAND, "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**settings),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_tests,
        )

    def __enter__(self) -> Self:
        try:
            wait_until(lambda: is_ready(self.url) or self.process.poll() is not None)
        except TimeoutError:
            self.process.kill()
            self.process.wait()
        if self.process.poll() is not None:
            raise AssertionError(self.process.communicate()[1])
        return self

    def __exit__(self, *_: object) -> None:
        """End it, its workers too: killed, it would leave them behind."""
        if self.process.poll() is None:
            self.stop()
        self.process.communicate()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end, which it has the documented time for; return its exit code and what it logged."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=time_to_stop_s(Settings()))
        return self.process.returncode, log

    def worker_pids(self) -> set[int]:
        return worker_pids(self.process.pid)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=ANSWER_WITHIN_S)

    def poll(self, token: str, site_id: str = "site_a") -> httpx.Response:
        """One poll on a connection of its own: any of the workers may get it."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}/api/realtime"
        return httpx.get(url, params={"siteId": site_id}, headers=headers, timeout=ANSWER_WITHIN_S)

    def track(self, site_id: str = "site_a", path: str = "/", user_agent: str = BROWSER) -> httpx.Response:
        """One signal on a connection of its own."""
        body, headers = {"siteId": site_id, "path": path}, {"User-Agent": user_agent}
        return httpx.post(f"{self.url}/api/track", json=body, headers=headers, timeout=ANSWER_WITHIN_S)


class ClockedService(Service):
    """The same with a clock that stands still until the test moves it (tests/kit/clocked.py)."""

    COMMAND = (sys.executable, "-m", "tests.kit.clocked")


class BreakingService(Service):
    """The same with a writer that ends with a signal of page /break (tests/kit/breaking.py)."""

    COMMAND = (sys.executable, "-m", "tests.kit.breaking")
