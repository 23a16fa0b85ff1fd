"""The good tenant's traffic: marked signals, and polls whose answers are checked and timed."""

import asyncio
import math
import random
import time
import uuid
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from tests.kit.model import contradictions
from tests.kit.user_agents import BROWSER

SITES = tuple(f"site_{number}" for number in range(12))
SENDERS = 8
POLLERS = 6
TIMEOUT_S = 15.0
REPEAT_FOR_S = 40.0
"""So long half of the senders send a request again that may or may not be stored, under its Idempotency-Key."""
FRESH_CONNECTIONS = 16
"""So many that every worker has some."""

MARK_ENDS = "~"
"""A page is its mark, or its mark, this, and filler (faults/sql/stored.sql)."""


@dataclass
class Sent:
    """A request to /api/track: during which trial, where to, its marks, and what came of it (0: no answer)."""

    trial: str
    site_id: str
    marks: list[str]
    sent_at: float = field(default_factory=time.time)
    answered_at: float = 0.0
    status: int = 0
    attempts: int = 1
    keyed: bool = False
    ended_at: float = 0.0
    """When it was answered or given up."""

    def answered(self, status: int) -> None:
        self.status, self.answered_at = status, time.time()


@dataclass
class Polled:
    """A poll: during which trial, of which site, its status (0: no answer), when it was sent, and how long it took."""

    trial: str
    site_id: str
    status: int
    sent_at: float
    seconds: float


class Traffic:
    """Senders and pollers that go on whatever happens. `trial` names what happens now."""

    def __init__(
        self, url: str, token: str, write_token: str, chance: random.Random, shards: Sequence[Sequence[str]]
    ) -> None:
        """Each sender and poller keeps to the sites of one of `shards`: what does not answer holds up no other's."""
        self.trial = ""
        self.sent: list[Sent] = []
        self.polls: list[Polled] = []
        self.wrong: list[tuple[str, str]] = []
        """What a poll got that it must not get, with the trial in which it was sent."""
        self.back_at = 0.0
        """When ClickHouse came back (monotonic), until the next signal was committed."""
        self.back_seconds: list[float] = []
        self._chance = chance
        self._shards = shards
        self._by_site: defaultdict[str, list[Sent]] = defaultdict(list)
        self._client = _client(url)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._write_token = write_token
        self._over = asyncio.Event()
        self._people: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._people += [asyncio.create_task(self._send(n)) for n in range(SENDERS)]
        self._people += [asyncio.create_task(self._poll(n)) for n in range(POLLERS)]

    async def end(self) -> None:
        self._over.set()
        await asyncio.gather(*self._people)
        await self._client.aclose()

    async def _send(self, sender: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            size = self._chance.choice([1, 1, 1, 5, 20])
            marks = [f"/{sender}/{number}/{i}" for i in range(size)]
            keyed = sender % 2 == 1
            sent = self._begin(self._site_of(sender), marks, keyed)
            status = await (self._send_until_known(sent) if keyed else self._attempt(self._client, sent, {}))
            if status == 200 and self.back_at:
                self.back_seconds.append(time.monotonic() - self.back_at)
                self.back_at = 0.0
            await asyncio.sleep(0.01 if status == 200 else 0.1)

    async def _send_until_known(self, sent: Sent) -> int:
        """Send under an Idempotency-Key, again and again while it may or may not be stored."""
        headers = {"Authorization": f"Bearer {self._write_token}", "Idempotency-Key": str(uuid.uuid4())}
        while await self._attempt(self._client, sent, headers) in (0, 503) and not self._over.is_set():
            if time.time() - sent.sent_at > REPEAT_FOR_S:
                break
            sent.attempts += 1
            await asyncio.sleep(0.1)
        return sent.status

    def _site_of(self, person: int) -> str:
        return self._chance.choice(self._shards[person % len(self._shards)])

    def _begin(self, site_id: str, marks: list[str], keyed: bool = False) -> Sent:
        sent = Sent(self.trial, site_id, marks, keyed=keyed)
        self.sent.append(sent)
        self._by_site[sent.site_id].append(sent)
        return sent

    async def _attempt(self, client: httpx.AsyncClient, sent: Sent, headers: dict[str, str]) -> int:
        body = {"siteId": sent.site_id, "batch": True, "events": [{"path": mark} for mark in sent.marks]}
        sent.status, sent.answered_at = 0, 0.0
        with suppress(httpx.TransportError):
            sent.answered((await client.post("/api/track", json=body, headers=headers)).status_code)
        sent.ended_at = time.time()
        return sent.status

    async def seconds_until_well(self, patience_s: float) -> float:
        """How long until signals on FRESH_CONNECTIONS at once are all committed; inf if longer than `patience_s`."""
        started_s = time.monotonic()
        async with _client(str(self._client.base_url), kept=0) as client:
            while (waited_s := time.monotonic() - started_s) < patience_s:
                marks = [f"/well/{len(self.sent)}/{i}" for i in range(FRESH_CONNECTIONS)]
                sent = [self._begin(self._chance.choice(SITES), [mark]) for mark in marks]
                if {200} == set(await asyncio.gather(*[self._attempt(client, one, {}) for one in sent])):
                    return waited_s
                await asyncio.sleep(0.1)
        return math.inf

    async def _poll(self, poller: int) -> None:
        while not self._over.is_set():
            site_id, asked_at, trial = self._site_of(poller), time.time(), self.trial
            try:
                response = await self._client.get("/api/realtime", params={"siteId": site_id}, headers=self._headers)
            except httpx.TransportError:
                self.polls.append(Polled(trial, site_id, 0, asked_at, time.time() - asked_at))
                await asyncio.sleep(0.1)
                continue
            self.polls.append(Polled(trial, site_id, response.status_code, asked_at, time.time() - asked_at))
            if response.status_code == 200:
                self.wrong += [(trial, what) for what in self._check(response.json(), site_id, asked_at)]
            elif response.status_code != 503 or "error" not in response.json():
                self.wrong.append((trial, f"{response.status_code} {response.text[:100]}"))
            await asyncio.sleep(0.05)

    def _check(self, answer: dict[str, object], site_id: str, asked_at: float) -> list[str]:
        wrong = contradictions(answer)
        now = datetime.fromisoformat(str(answer["timestamp"]))
        start = (now.replace(second=0) - timedelta(minutes=4)).timestamp()
        # Sent before, yet received in the window: possible for as long as its sender waited.
        first = bisect_left(self._by_site[site_id], start - REPEAT_FOR_S - 2 * TIMEOUT_S, key=lambda sent: sent.sent_at)
        mine = self._by_site[site_id][first:]
        at_least = sum(
            len(sent.marks)
            for sent in mine
            if sent.status == 200 and sent.answered_at < asked_at and sent.sent_at >= start
        )
        at_most = sum(len(sent.marks) for sent in mine if not sent.answered_at or sent.answered_at >= start)
        if not at_least <= int(str(answer["pageviewsLast5Min"])) <= at_most:
            wrong.append(f"pageviews {answer['pageviewsLast5Min']} not in {at_least}..{at_most}")
        return wrong


def _client(url: str, kept: int = 100) -> httpx.AsyncClient:
    """One that keeps so many connections open, and names a browser: signals of any other are not stored."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=kept)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, headers={"User-Agent": BROWSER})
