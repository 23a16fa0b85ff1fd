"""What breaks by itself: processes that die, stand still or restart, and connections that fail, in random order."""

import asyncio
import math
import random
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import product

from faults.ground import Ground
from faults.proxy import Mode
from faults.traffic import Traffic

FAULTS = "faults"
"""The trial in which all this is done."""

# Shorter than ClickHouse's pauses, and a queue that fills: both are what is tried here.
SETTINGS = {"queue_max_signals": "60", "insert_timeout_ms": "2000", "commit_timeout_ms": "6000"}
# On shards a 503 is to say that something was away, and not that this machine is slow.
SHARD_SETTINGS = {
    "insert_timeout_ms": "2000",
    "commit_timeout_ms": "30000",
    "query_timeout_ms": "30000",
    "directory_max_age_ms": "60000",
}

NODE_BACK_AFTER_S = 15.0
"""So long after a shard is back its sites may still be 503: looks and repeated INSERTs find it again by then."""
API_BACK_AFTER_S = 2.0
LOOK_EVERY_S = 0.2


Fault = Callable[[int], Awaitable[None]]
"""Breaks something, of this shard if it is of one."""


@dataclass
class Break:
    """Something that was broken: what, of which shard (None: the API's), and from when until when."""

    what: str
    shard: int | None
    since: float
    until: float = math.inf

    def explains(self, shards: set[int], since: float, until: float) -> bool:
        """Whether a request of that time that needed these shards may have been refused for it."""
        back_s = API_BACK_AFTER_S if self.shard is None else NODE_BACK_AFTER_S
        return (self.shard is None or self.shard in shards) and self.since <= until and since <= self.until + back_s


class Breaks:
    """Breaks one thing after the other; `all` says what, and when."""

    def __init__(self, ground: Ground, traffic: Traffic, chance: random.Random) -> None:
        self.all: list[Break] = []
        self.stops: list[tuple[int, float]] = []
        """Exit codes and seconds of the API's restarts."""
        self._ground = ground
        self._traffic = traffic
        self._chance = chance
        self._away: set[int] = set()

    async def go_on(self, seconds: float) -> None:
        supervising = asyncio.create_task(self._supervise())
        end = time.monotonic() + seconds
        deck: list[tuple[Fault, int | None]] = []
        while time.monotonic() < end:
            await asyncio.sleep(self._chance.uniform(0.5, 2))
            deck = deck or self._shuffled()
            fault, shard = deck.pop()
            broken = Break(fault.__name__.strip("_").replace("_", " "), shard, time.time())
            self.all.append(broken)
            await fault(shard or 0)
            broken.until = time.time()
        self._ground.let_pass()
        supervising.cancel()

    def listed(self) -> str:
        """How often each was broken, on shards also of which."""
        shards: defaultdict[str, list[int]] = defaultdict(list)
        for broken in self.all:
            shards[broken.what].append(0 if broken.shard is None else broken.shard + 1)
        return ", ".join(
            f"{len(of)} x {what}"
            + (f" (shards {' '.join(map(str, sorted(of)))})" if any(of) and self._ground.shards > 1 else "")
            for what, of in sorted(shards.items())
        )

    def _shuffled(self) -> list[tuple[Fault, int | None]]:
        """Everything once, of each shard, and what happens most often twice."""
        of_a_shard = [
            self._kill_clickhouse,
            self._pause_clickhouse,
            self._cut_answers,
            self._cut_answers,
            self._refuse_connections,
            self._delay_answers,
        ]
        deck: list[tuple[Fault, int | None]] = [
            *product(of_a_shard, range(self._ground.shards)),
            *product([self._kill_a_worker, self._restart_the_api], [None]),
        ]
        self._chance.shuffle(deck)
        return deck

    async def _kill_clickhouse(self, shard: int) -> None:
        self._away.add(shard)
        self._ground.servers[shard].send(signal.SIGKILL)
        await asyncio.sleep(self._chance.uniform(0, 3))
        await self._ground.start_clickhouse(shard)
        self._away.discard(shard)
        self._traffic.back_at = time.monotonic()

    async def _pause_clickhouse(self, shard: int) -> None:
        server = self._ground.servers[shard]
        server.send(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(5, 20))
        server.send(signal.SIGCONT)

    async def _kill_a_worker(self, _: int) -> None:
        self._ground.kill_worker(self._chance)
        await asyncio.sleep(6)  # granian gives up on a worker that dies again within 5.5 s

    async def _restart_the_api(self, _: int) -> None:
        self.stops.append(await self._ground.stop_api())
        await self._ground.start_api()

    async def _cut_answers(self, shard: int) -> None:
        await self._through_the_proxy(shard, "cut", 2)

    async def _refuse_connections(self, shard: int) -> None:
        await self._through_the_proxy(shard, "refuse", 3)

    async def _delay_answers(self, shard: int) -> None:
        await self._through_the_proxy(shard, "delay", 4)

    async def _through_the_proxy(self, shard: int, mode: Mode, seconds: float) -> None:
        proxy = self._ground.proxies[shard]
        proxy.mode = mode
        await asyncio.sleep(self._chance.uniform(0.2, seconds))
        proxy.mode = "pass"

    async def _supervise(self) -> None:
        """Start servers again that have ended by themselves, as a supervisor does."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for shard, server in enumerate(self._ground.servers):
                if shard not in self._away and not server.lives:
                    ended = Break("ClickHouse ended by itself", shard, time.time())
                    self.all.append(ended)
                    await self._ground.start_clickhouse(shard)
                    ended.until = time.time()
