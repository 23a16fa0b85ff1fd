"""`python -m faults`: run the service, break it for a while, then account for every signal."""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clickhouse_connect
import httpx
from rich.console import Console
from rich.table import Table

from faults.proxy import Proxy
from tests.model import contradictions

DATABASE = "test_faults"
SITES = ("site_0", "site_1", "site_2")
SENDERS = 8
POLLERS = 4
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PULSEHOUSE = Path(sys.executable).parent / "pulsehouse"
# Shorter than ClickHouse's pauses, and a queue that fills: both are what is tried here.
SETTINGS = {
    "PULSEHOUSE_QUEUE_MAX_SIGNALS": "60",
    "PULSEHOUSE_INSERT_TIMEOUT_MS": "2000",
    "PULSEHOUSE_COMMIT_TIMEOUT_MS": "6000",
    "PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE": "0",
}


@dataclass
class Sent:
    """A request to /api/track: its marks, where to, and what came of it."""

    site_id: str
    marks: list[str]
    answered_at: float = 0.0
    sent_at: float = field(default_factory=time.time)
    status: int = 0


class Ground:
    """ClickHouse, the proxy before it, and the API with its workers."""

    def __init__(self, clickhouse: str, folder: str, workers: int) -> None:
        self.clickhouse_port, self.api_port = _free_port(), _free_port()
        self._command = clickhouse.format(port=self.clickhouse_port, path=folder)
        self._workers = workers
        self.proxy = Proxy(self.clickhouse_port)
        self._clickhouse: subprocess.Popen[bytes] | None = None
        self._api: subprocess.Popen[bytes] | None = None
        self.stop_seconds: list[float] = []
        self.stop_codes: Counter[int] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    async def start_clickhouse(self) -> None:
        with Path(os.devnull).open("wb") as null:
            self._clickhouse = subprocess.Popen(
                self._command, shell=True, start_new_session=True, stdout=null, stderr=null
            )
        await _until_200(f"http://127.0.0.1:{self.clickhouse_port}/ping", 60)

    def signal_clickhouse(self, number: signal.Signals) -> None:
        assert self._clickhouse
        os.killpg(self._clickhouse.pid, number)
        if number == signal.SIGKILL:
            self._clickhouse.wait()

    def environment(self) -> dict[str, str]:
        return os.environ | SETTINGS | {"PULSEHOUSE_CLICKHOUSE_URL": f"http://127.0.0.1:{self.proxy.port}/{DATABASE}"}

    async def command(self, *arguments: str) -> dict[str, str]:
        """Run `pulsehouse ... --json` and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            PULSEHOUSE, *arguments, "--json", env=self.environment(), stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return dict(json.loads(output))

    async def start_api(self) -> None:
        with tempfile.TemporaryFile() as log:
            self._api = subprocess.Popen(
                [PULSEHOUSE, "serve", "--port", str(self.api_port), "--workers", str(self._workers)],
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        await _until_200(f"{self.url}/ready", 90)

    def kill_worker(self, chance: random.Random) -> None:
        assert self._api
        workers = []
        for child in Path(f"/proc/{self._api.pid}/task/{self._api.pid}/children").read_text().split():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    workers.append(int(child))
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)

    async def stop_api(self) -> None:
        assert self._api
        started = time.monotonic()
        self._api.terminate()
        self.stop_codes[await asyncio.to_thread(self._api.wait)] += 1
        self.stop_seconds.append(time.monotonic() - started)

    def end(self) -> None:
        for process in (self._api, self._clickhouse):
            if process and process.poll() is None:
                process.kill()
        if self._clickhouse:
            with suppress(ProcessLookupError):
                os.killpg(self._clickhouse.pid, signal.SIGKILL)


class Run:
    """Traffic, polls and faults at the same time, and the account at the end."""

    def __init__(self, ground: Ground, token: str, chance: random.Random) -> None:
        self.ground = ground
        self.chance = chance
        self.sent: list[Sent] = []
        self.polls: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.faults: Counter[str] = Counter()
        self.back_seconds: list[float] = []
        self.back_at = 0.0
        self._client = httpx.AsyncClient(base_url=ground.url, timeout=15, headers={"User-Agent": BROWSER})
        self._token = token
        self._over = asyncio.Event()

    async def traffic(self, seconds: float) -> None:
        people = [asyncio.create_task(self._send(n)) for n in range(SENDERS)]
        people += [asyncio.create_task(self._poll()) for _ in range(POLLERS)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self.chance.uniform(0.5, 2))
            fault = self.chance.choice(self._all_faults())
            self.faults[fault.__name__.strip("_").replace("_", " ")] += 1
            await fault()
        self.ground.proxy.mode = "pass"
        await asyncio.sleep(3)
        self._over.set()
        await asyncio.gather(*people)
        await self._client.aclose()

    async def _send(self, sender: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            size = self.chance.choice([1, 1, 1, 5, 20])
            sent = Sent(self.chance.choice(SITES), [f"/{sender}/{number}/{i}" for i in range(size)])
            self.sent.append(sent)
            events = [{"path": mark} for mark in sent.marks]
            body = {"siteId": sent.site_id, "batch": True, "events": events}
            with suppress(httpx.TransportError):
                response = await self._client.post("/api/track", json=body)
                sent.status, sent.answered_at = response.status_code, time.time()
                if response.status_code == 200 and self.back_at:
                    self.back_seconds.append(time.monotonic() - self.back_at)
                    self.back_at = 0.0
            await asyncio.sleep(0.01 if sent.status == 200 else 0.1)

    async def _poll(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        while not self._over.is_set():
            site_id, asked_at = self.chance.choice(SITES), time.time()
            try:
                response = await self._client.get("/api/realtime", params={"siteId": site_id}, headers=headers)
            except httpx.TransportError:
                self.polls["no answer"] += 1
                await asyncio.sleep(0.1)
                continue
            self.polls[str(response.status_code)] += 1
            if response.status_code == 200:
                self.wrong += self._check(response.json(), site_id, asked_at)
            elif response.status_code != 503 or "error" not in response.json():
                self.wrong.append(f"{response.status_code} {response.text[:100]}")
            await asyncio.sleep(0.05)

    def _check(self, answer: dict[str, object], site_id: str, asked_at: float) -> list[str]:
        wrong = contradictions(answer)
        now = datetime.fromisoformat(str(answer["timestamp"]))
        start = (now.replace(second=0) - timedelta(minutes=4)).timestamp()
        mine = [sent for sent in self.sent if sent.site_id == site_id]
        at_least = sum(
            len(sent.marks)
            for sent in mine
            if sent.status == 200 and sent.answered_at < asked_at and sent.sent_at >= start
        )
        at_most = sum(len(sent.marks) for sent in mine if not sent.answered_at or sent.answered_at >= start)
        if not at_least <= int(str(answer["pageviewsLast5Min"])) <= at_most:
            wrong.append(f"pageviews {answer['pageviewsLast5Min']} not in {at_least}..{at_most}")
        return wrong

    def _all_faults(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self._kill_clickhouse,
            self._pause_clickhouse,
            self._kill_a_worker,
            self._restart_the_api,
            self._cut_answers,
            self._cut_answers,
            self._refuse_connections,
            self._delay_answers,
        ]

    async def _kill_clickhouse(self) -> None:
        self.ground.signal_clickhouse(signal.SIGKILL)
        await asyncio.sleep(self.chance.uniform(0, 3))
        await self.ground.start_clickhouse()
        self.back_at = time.monotonic()

    async def _pause_clickhouse(self) -> None:
        self.ground.signal_clickhouse(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(5, 20))
        self.ground.signal_clickhouse(signal.SIGCONT)

    async def _kill_a_worker(self) -> None:
        self.ground.kill_worker(self.chance)
        await asyncio.sleep(6)  # granian gives up on a worker that dies again within 5.5 s

    async def _restart_the_api(self) -> None:
        await self.ground.stop_api()
        await self.ground.start_api()

    async def _cut_answers(self) -> None:
        await self._through_the_proxy("cut", 2)

    async def _refuse_connections(self) -> None:
        await self._through_the_proxy("refuse", 3)

    async def _delay_answers(self) -> None:
        await self._through_the_proxy("delay", 4)

    async def _through_the_proxy(self, mode: str, seconds: float) -> None:
        self.ground.proxy.mode = mode  # type: ignore[assignment]
        await asyncio.sleep(self.chance.uniform(0.2, seconds))
        self.ground.proxy.mode = "pass"

    def account(self) -> tuple[list[tuple[str, str]], bool]:
        """The rows of the table, and whether all that must be 0 is 0."""
        client = clickhouse_connect.get_client(host="127.0.0.1", port=self.ground.clickhouse_port, database=DATABASE)
        stored = dict(client.query("SELECT page, count() FROM signals GROUP BY page").result_rows)
        in_buckets = int(str(client.command("SELECT sum(pageviews) FROM visitor_minutes")))
        in_feed = dict(client.query("SELECT page, count() FROM recent_pageviews GROUP BY page").result_rows)
        acknowledged = [mark for sent in self.sent if sent.status == 200 for mark in sent.marks]
        missing = sum(mark not in stored for mark in acknowledged)
        twice = sum(count > 1 for count in stored.values()) + sum(count > 1 for count in in_feed.values())
        difference = in_buckets - sum(stored.values())
        by_status = Counter[str]()
        for sent in self.sent:
            by_status[str(sent.status) if sent.status else "no answer"] += len(sent.marks)
        rows = [("faults", ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items())))]
        rows += [("signals sent", f"{sum(by_status.values()):,}")]
        rows += [
            (f"  answered {status}".replace("answered no", "no"), f"{count:,}")
            for status, count in sorted(by_status.items())
        ]
        rows += [
            ("stored", f"{sum(stored.values()):,}"),
            ("acknowledged but missing (must be 0)", str(missing)),
            ("stored twice (must be 0)", str(twice)),
            ("minute buckets minus signals (must be 0)", str(difference)),
            ("polls", f"{sum(self.polls.values()):,}"),
            ("  wrong answers (must be 0)", str(len(self.wrong))),
            *(
                (f"  {status}" if status == "no answer" else f"  answered {status}", f"{n:,}")
                for status, n in sorted(self.polls.items())
            ),
            ("ClickHouse back to first 200, longest (s)", f"{max(self.back_seconds, default=0):.1f}"),
            ("SIGTERM to exit, longest (s)", f"{max(self.ground.stop_seconds, default=0):.1f}"),
            (
                "exit codes after SIGTERM",
                ", ".join(f"{count} x {code}" for code, count in self.ground.stop_codes.items()),
            ),
        ]
        rows += [("wrong", text) for text in sorted(set(self.wrong))[:5]]
        return rows, not (missing or twice or difference or self.wrong or set(self.ground.stop_codes) - {0})


async def _until_200(url: str, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=2) as client:
        while time.monotonic() < give_up:
            with suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit(f"faults: {url} did not answer 200 within {seconds:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run(clickhouse: str, seconds: float, seed: int, workers: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="pulsehouse-faults-", ignore_cleanup_errors=True) as folder:
        ground = Ground(clickhouse, folder, workers)
        try:
            await ground.start_clickhouse()
            await ground.proxy.start()
            for site_id in SITES:
                await ground.command("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", site_id)
            token = (await ground.command("key", "create", "--tenant", "acme", "--scope", "read"))["token"]
            await ground.start_api()
            trial = Run(ground, token, random.Random(seed))
            await trial.traffic(seconds)
            await ground.stop_api()
            rows, fine = trial.account()
        finally:
            ground.end()
    table = Table(
        title=f"{seconds:.0f} s of faults, seed {seed}, {workers} workers ({datetime.now(UTC):%Y-%m-%d})",
        show_header=False,
    )
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    return fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long faults go on")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="which faults, in which order")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--clickhouse",
        default=os.environ.get("PULSEHOUSE_TEST_FAULTS_CLICKHOUSE", ""),
        help="command that runs a ClickHouse server in the foreground, with {port} (HTTP) and {path} (its data) in it; "
        "default: PULSEHOUSE_TEST_FAULTS_CLICKHOUSE",
    )
    arguments = parser.parse_args()
    if not arguments.clickhouse:
        parser.error("--clickhouse: give the command that runs a ClickHouse server")
    sys.exit(0 if asyncio.run(run(arguments.clickhouse, arguments.seconds, arguments.seed, arguments.workers)) else 1)


if __name__ == "__main__":
    main()
