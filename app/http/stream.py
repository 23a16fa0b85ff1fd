"""GET /api/realtime/stream: realtime answers as Server-Sent Events, pushed when they change."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from app import metrics
from app.domain.errors import AccessDenied, InvalidRequest, InvalidToken, Refusal, SiteIdRequired, Unavailable
from app.domain.sites import Site
from app.http.answers import CORS, Error
from app.http.caller import Caller, Callers, Request
from app.http.openapi import TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

MAX_SITES = 100

HEARTBEAT_S = 15.0
"""Nothing is sent for no longer than this: proxies drop a connection that is silent."""

PHASES = 20
"""Streams that are due within so small a part of the interval ask in the same moment, and share statements."""

RETRY_S = (0.5, 3.0)
"""When a client may come back whose stream the service ends; not all of them at once."""

JITTER = 0.1

EVENT_STREAM = {**CORS, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """The data of an event `realtime`."""

    site_id: str
    answer: msgspec.Raw


SITE_IDS = {
    "name": "siteId",
    "in": "query",
    "description": "The sites; given once for each.",
    "required": True,
    "explode": True,
    "schema": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "pattern": r"\S"},
        "minItems": 1,
        "maxItems": MAX_SITES,
    },
}
EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["realtime", "error"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "Of `realtime`: `siteId`, and `answer` as of `GET /api/realtime`; of `error`: `error`.",
        },
    },
}
STREAM = described(
    "Live visitor data, pushed",
    {
        200: answer("Events; comments and `retry` between them", EVENT, EVENT_STREAM, "text/event-stream"),
        **refusals(400, 401, 403, 429, 503),
    },
    security=TOKEN,
    parameters=[SITE_IDS],
)


def stream_handlers(callers: Callers, streams: "Streams") -> list[HTTPRouteHandler]:
    @get("/api/realtime/stream", opt=STREAM)
    async def get_realtime_stream(request: Request) -> Stream:
        """Push live data of up to 100 sites: of each at once, and then whenever it has changed."""
        caller = callers.authenticate(request)
        sites = [caller.readable(site_id) for site_id in required_site_ids(request)]
        streams.require_room(len(sites))
        return Stream(
            streams.events(caller, sites),
            status_code=HTTPStatus.OK,
            media_type="text/event-stream",
            headers=EVENT_STREAM,
        )

    return [allow_preflight("/api/realtime/stream", "GET, OPTIONS", "Authorization"), get_realtime_stream]


def required_site_ids(request: Request) -> list[str]:
    """The query's sites, each once. Raises SiteIdRequired or InvalidRequest."""
    given = [str(site_id) for site_id in request.query_params.getall("siteId", [])]
    if not given or not all(site_id.strip() for site_id in given):
        raise SiteIdRequired
    if len(given) > MAX_SITES:
        raise InvalidRequest(f"siteId: at most {MAX_SITES} sites in one stream")
    return list(dict.fromkeys(given))


class Streams:
    """The open streams of a worker. Each is a poller: it asks as a poll does, so its answers are as fresh and exact.

    A stream holds one message, the one that its client has not taken yet; while it waits for that it does not ask.
    """

    def __init__(self, store: Store, *, interval_s: float, lifetime_s: float, max_sites: int) -> None:
        self._store = store
        self._interval_s = interval_s
        self._lifetime_s = lifetime_s
        self._max_sites = max_sites
        self._sites = 0
        self._stopping = False
        self._waiting: set[asyncio.Future[None]] = set()

    def require_room(self, sites: int) -> None:
        """Raise Unavailable when a stream of so many sites may not begin."""
        self._store.require_running()
        if self._stopping or self._sites + sites > self._max_sites:
            raise Unavailable

    def stop(self) -> None:
        """End all streams now; their clients come back, to another process."""
        self._stopping = True
        for waiting in self._waiting:
            _wake(waiting)

    async def events(self, caller: Caller, sites: list[Site]) -> AsyncIterator[bytes]:
        """The events of a stream until it ends."""
        self._sites += len(sites)
        metrics.streams.inc()
        try:
            async for message in self._events(caller, sites):
                yield message
        finally:
            self._sites -= len(sites)
            metrics.streams.dec()

    async def _events(self, caller: Caller, sites: list[Site]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._lifetime_s * random.uniform(1 - JITTER, 1 + JITTER)
        sent: dict[str, bytes] = {}  # site -> digest of the answer that the client has; b"" for an error
        sent_s = loop.time()
        while True:
            due_s = self._next_phase(loop.time())
            try:
                self._require_access(caller, sites)
            except Unavailable as refusal:
                news = self._tell_trouble(sites, sent, refusal)
            except Refusal as refusal:
                yield _error(refusal)
                return
            else:
                news = await self._ask(sites, sent)
            if news:
                yield news
            elif loop.time() - sent_s + self._interval_s >= HEARTBEAT_S:
                news = b":\n\n"
                yield news
            if news:
                sent_s = loop.time()
            await self._wait(due_s)
            if self._stopping or loop.time() >= end_s:
                yield b"retry: %d\n\n" % (1_000 * random.uniform(*RETRY_S))
                return

    def _require_access(self, caller: Caller, sites: list[Site]) -> None:
        """Raise what a poll of the same client would be answered now."""
        tenants = self._store.tenants
        tenants.require_fresh()
        key = tenants.same_key(caller.key)
        if key is None or not key.is_valid(self._store.clock()):
            raise InvalidToken
        for site in sites:
            known = tenants.site(site.id)
            if known is None or not key.may_read(known):
                raise AccessDenied

    async def _ask(self, sites: list[Site], sent: dict[str, bytes]) -> bytes:
        """Ask for each site, and return the events of those whose answer is not the one that was sent last."""
        asked = [asyncio.ensure_future(self._store.reads.of(site.tenant, site.id)) for site in sites]
        answered = asyncio.get_running_loop().create_future()
        self._waiting.add(answered)
        everything = asyncio.gather(*asked, return_exceptions=True)
        everything.add_done_callback(lambda done: _wake_done(answered, done))
        try:
            await answered
            if not everything.done():
                return b""  # stopping
            answers = everything.result()
        finally:
            self._waiting.discard(answered)
            if not everything.done():
                everything.cancel()
        events = []
        for site, given in zip(sites, answers, strict=True):
            if isinstance(given, Unavailable):
                events.append(self._tell_trouble([site], sent, given))
            elif isinstance(given, BaseException):
                raise given
            elif sent.get(site.id) != (digest := _digest(given)):
                sent[site.id] = digest
                data = msgspec.json.encode(Event(site.id, msgspec.Raw(given)))
                events.append(b"event: realtime\ndata: " + data + b"\n\n")
        # Of sites that are not known one event tells enough.
        return b"".join(dict.fromkeys(events))

    def _tell_trouble(self, sites: list[Site], sent: dict[str, bytes], refusal: Unavailable) -> bytes:
        """An error event, once; the next answer is sent whatever it says."""
        told = all(sent.get(site.id) == b"" for site in sites)
        sent.update((site.id, b"") for site in sites)
        return b"" if told else _error(refusal)

    def _next_phase(self, now_s: float) -> float:
        phase_s = self._interval_s / PHASES
        return math.ceil((now_s + self._interval_s) / phase_s) * phase_s

    async def _wait(self, until_s: float) -> None:
        """Wait until then, or until the streams are to end."""
        if self._stopping:
            return
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        timer = loop.call_at(until_s, _wake, waiting)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.discard(waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _wake_done(waiting: asyncio.Future[None], done: "asyncio.Future[Any]") -> None:
    """Wake who waits for `done`, and look at its exception: of a cancelled one nobody does, and that is logged."""
    if not done.cancelled():
        done.exception()
    _wake(waiting)


def _digest(answer: bytes) -> bytes:
    """What an answer says, its own time aside, which is its last field."""
    return blake2b(answer.rpartition(b'"timestamp":')[0], digest_size=16).digest()


def _error(refusal: Refusal) -> bytes:
    return b"event: error\ndata: " + msgspec.json.encode(Error(str(refusal))) + b"\n\n"
