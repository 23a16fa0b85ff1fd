"""What breaks by itself: processes that die, stand still or restart, and connections that fail, in random order."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from faults.ground import Ground
from faults.proxy import Mode
from faults.traffic import Traffic

# Shorter than ClickHouse's pauses, and a queue that fills: both are what is tried here.
SETTINGS = {"queue_max_signals": "60", "insert_timeout_ms": "2000", "commit_timeout_ms": "6000"}


class Breaks:
    """Breaks one thing after the other; `counts` says how often each."""

    def __init__(self, ground: Ground, traffic: Traffic, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.stops: list[tuple[int, float]] = []
        """Exit codes and seconds of the API's restarts."""
        self._ground = ground
        self._traffic = traffic
        self._chance = chance

    async def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self._chance.uniform(0.5, 2))
            fault = self._chance.choice(self._all())
            self.counts[fault.__name__.strip("_").replace("_", " ")] += 1
            await fault()
        self._ground.proxy.mode = "pass"

    def _all(self) -> list[Callable[[], Awaitable[None]]]:
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
        self._ground.signal_clickhouse(signal.SIGKILL)
        await asyncio.sleep(self._chance.uniform(0, 3))
        await self._ground.start_clickhouse()
        self._traffic.back_at = time.monotonic()

    async def _pause_clickhouse(self) -> None:
        self._ground.signal_clickhouse(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(5, 20))
        self._ground.signal_clickhouse(signal.SIGCONT)

    async def _kill_a_worker(self) -> None:
        self._ground.kill_worker(self._chance)
        await asyncio.sleep(6)  # granian gives up on a worker that dies again within 5.5 s

    async def _restart_the_api(self) -> None:
        self.stops.append(await self._ground.stop_api())
        await self._ground.start_api()

    async def _cut_answers(self) -> None:
        await self._through_the_proxy("cut", 2)

    async def _refuse_connections(self) -> None:
        await self._through_the_proxy("refuse", 3)

    async def _delay_answers(self) -> None:
        await self._through_the_proxy("delay", 4)

    async def _through_the_proxy(self, mode: Mode, seconds: float) -> None:
        self._ground.proxy.mode = mode
        await asyncio.sleep(self._chance.uniform(0.2, seconds))
        self._ground.proxy.mode = "pass"
