"""What one client, one tenant, one odd proxy or a ClickHouse that stands still can do to the others."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from app.settings import Settings
from faults.bodies import poll_large, send_costly, send_large
from faults.connections import hold_connections
from faults.ground import Ground
from faults.traffic import Sent, Traffic

HOSTILE_SITE = "site_hostile"
LARGE_SITE = "site_large"
LARGE_POLLERS = 10
FILL_EVERY_S = 30
STOP_MAX_S = 30
ODD_SHARE = 0.3

# So small that an attack of a few hundred requests reaches them.
LIMITS = {"queue_max_bytes": str(16 * 1_048_576), "bodies_max_bytes": str(16 * 1_048_576)}
SETTINGS = {name: value for name, value in LIMITS.items() if name in Settings.__struct_fields__}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Size:
    """How long an attack goes on, and how much of what it takes."""

    seconds: float
    connections: int
    large_bodies: int
    large_visitors: int


class Attacks:
    """Attacks of the tenants `hostile` and `large`, each from a process of its own, so that it delays nothing here."""

    def __init__(self, ground: Ground, traffic: Traffic, size: Size, *, write_token: str, large_token: str) -> None:
        self.large_answers = 0
        self._ground = ground
        self._traffic = traffic
        self._size = size
        self._write_token = write_token
        self._large_token = large_token
        self._holding: asyncio.Task[list[Sent]] | None = None

    async def hostile(self) -> None:
        """Hold connections; they are held until the API has stopped, so that its stop is tried too."""
        seconds = self._size.seconds + STOP_MAX_S
        self._holding = self._aside(
            hold_connections,
            self._ground.api_port,
            HOSTILE_SITE,
            self._traffic.trial,
            self._size.connections,
            seconds,
        )
        await asyncio.sleep(self._size.seconds)

    async def end(self) -> None:
        """Wait for what ends with the API."""
        if self._holding:
            self._traffic.sent += await self._holding
            self._holding = None

    async def costly(self) -> None:
        """Send what costs the service the most work."""
        self._traffic.sent += await self._aside(
            send_costly,
            self._ground.url,
            HOSTILE_SITE,
            self._write_token,
            self._traffic.trial,
            self._size.seconds,
        )

    async def large(self) -> None:
        """Poll a site with very many visitors."""
        polling = self._aside(
            poll_large,
            self._ground.url,
            LARGE_SITE,
            self._large_token,
            LARGE_POLLERS,
            self._size.large_visitors,
            self._size.seconds,
        )
        filling = asyncio.create_task(self._keep_filled())
        answers, wrong = await polling
        filling.cancel()
        self.large_answers += answers
        self._traffic.wrong += [(self._traffic.trial, what) for what in wrong]

    def fill(self) -> None:
        """Let every visitor of the large site view a page, now."""
        self._ground.execute("fill_large_site", {"site": LARGE_SITE, "visitors": self._size.large_visitors})

    async def _keep_filled(self) -> None:
        while True:
            await asyncio.sleep(FILL_EVERY_S)
            await asyncio.to_thread(self.fill)

    async def stopped(self) -> None:
        """Stop ClickHouse while large bodies arrive, and let it go on."""
        self._ground.signal_clickhouse(signal.SIGSTOP)
        attack = self._aside(send_large, self._ground.url, HOSTILE_SITE, self._traffic.trial, self._size.large_bodies)
        await asyncio.sleep(self._size.seconds)
        self._ground.signal_clickhouse(signal.SIGCONT)
        self._traffic.sent += await attack

    async def proxy(self) -> None:
        """Let the odd proxies, through which the API was started, answer in ClickHouse's place."""
        for share in (ODD_SHARE, 0.0):
            for proxy in self._ground.proxies:
                proxy.oddities.share = share
            if share:
                await asyncio.sleep(self._size.seconds)

    @staticmethod
    def _aside(call: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any) -> asyncio.Task[Result]:
        """Run a coroutine function in a process of its own, started now."""

        async def run() -> Result:
            process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            try:
                return await asyncio.get_running_loop().run_in_executor(process, _run, call, arguments)
            finally:
                process.shutdown(wait=False, cancel_futures=True)

        return asyncio.create_task(run())


def _run(call: Callable[..., Coroutine[Any, Any, Result]], arguments: tuple[Any, ...]) -> Result:
    return asyncio.run(call(*arguments))
