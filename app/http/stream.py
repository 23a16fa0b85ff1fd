"""GET /api/realtime/stream: realtime answers as Server-Sent Events, pushed when they change."""

import asyncio
import contextlib
import logging
import math
import random
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from app import metrics
from app.domain.errors import AccessDenied, InvalidRequest, InvalidToken, Refusal, SiteIdRequired, Unavailable
from app.domain.sites import Site
from app.http.answers import CORS, Error
from app.http.caller import Caller, Callers, Request
from app.http.openapi import TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

log = logging.getLogger(__name__)

MAX_SITES = 100

HEARTBEAT_S = 15.0
"""Nothing is sent for no longer than this: proxies drop a connection that is silent."""

PHASES = 20
"""Streams that are due within so small a part of the interval ask in the same moment, and share statements."""

RETRY_S = (0.5, 3.0)
"""When a client may come back whose stream the service ends; not all of them at once."""

JITTER = 0.1

LAST_WORD_S = 1.0
"""So long a client has to take the last message of its stream."""

TOLD = 64
"""Events that are kept for the next stream of a site: streams that ask in the same moment are answered together."""

EVENT_STREAM = {**CORS, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
HEADERS = [
    (name.lower().encode(), value.encode())
    for name, value in {**EVENT_STREAM, "Content-Type": "text/event-stream"}.items()
]


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
    async def get_realtime_stream(request: Request) -> Response[bytes]:
        """Push live data of up to 100 sites: of each at once, and then whenever it has changed."""
        caller = callers.authenticate(request)
        sites = [caller.readable(site_id) for site_id in required_site_ids(request)]
        streams.require_room(len(sites))
        return EventStream(streams, caller, sites)

    return [allow_preflight("/api/realtime/stream", "GET, OPTIONS", "Authorization"), get_realtime_stream]


def required_site_ids(request: Request) -> list[str]:
    """The query's sites, each once. Raises SiteIdRequired or InvalidRequest."""
    given = [str(site_id) for site_id in request.query_params.getall("siteId", [])]
    if not given or not all(site_id.strip() for site_id in given):
        raise SiteIdRequired
    if len(given) > MAX_SITES:
        raise InvalidRequest(f"siteId: at most {MAX_SITES} sites in one stream")
    return list(dict.fromkeys(given))


class EventStream(Response[Any]):
    """The answer with a stream. Litestar's own has a group of tasks for each, a fifth of a stream's memory."""

    __slots__ = ("_caller", "_sites", "_streams")

    def __init__(self, streams: "Streams", caller: Caller, sites: list[Site]) -> None:
        self._streams = streams
        self._caller = caller
        self._sites = sites

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Litestar asks for what sends it."""
        return self

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": HTTPStatus.OK.value, "headers": HEADERS})
        pushing = asyncio.create_task(self._streams.push(self._caller, self._sites, send))
        try:
            # Said when the client has left, and when the answer has ended.
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            pushing.cancel()
        await asyncio.wait([pushing])
        if not pushing.cancelled() and (defect := pushing.exception()):
            log.error("unexpected error", exc_info=defect)  # the answer has begun: it can be no 500


class Streams:
    """The open streams of a worker. Each is a poller: it asks as a poll does, so its answers are as fresh and exact.

    A stream holds one message, the one that its client has not taken yet; while it waits for that it does not ask.
    Between its questions it holds none: thousands of streams wait nearly all the time.
    """

    def __init__(self, store: Store, *, interval_s: float, lifetime_s: float, max_sites: int) -> None:
        self._store = store
        self._interval_s = interval_s
        self._lifetime_s = lifetime_s
        self._max_sites = max_sites
        self._sites = 0
        self._stopping = False
        self._pushing: set[asyncio.Task[Any]] = set()

    def require_room(self, sites: int) -> None:
        """Raise Unavailable when a stream of so many sites may not begin."""
        self._store.require_running()
        if self._stopping or self._sites + sites > self._max_sites:
            raise Unavailable

    def stop(self) -> None:
        """End all streams now; their clients come back, to another process."""
        self._stopping = True
        for task in self._pushing:
            task.cancel()

    async def push(self, caller: Caller, sites: list[Site], send: Send) -> None:
        """Send the events of a stream until it ends; in a task of its own, cancelled when the client leaves."""
        task = asyncio.current_task()
        assert task
        self._pushing.add(task)
        self._sites += len(sites)
        metrics.streams.inc()
        try:
            try:
                last = await self._push(caller, sites, send)
            except asyncio.CancelledError:
                if not self._stopping:
                    raise
                last = _retry()
            finally:
                self._pushing.discard(task)
                self._sites -= len(sites)
                metrics.streams.dec()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD_S):
                    await _send(send, last)
        finally:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _push(self, caller: Caller, sites: list[Site], send: Send) -> bytes:
        """Send events while the stream may go on, and return its last message."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._lifetime_s * random.uniform(1 - JITTER, 1 + JITTER)
        sent: list[bytes | None] = [None] * len(sites)  # digests of the answers that the client has; b"" for an error
        sent_s = loop.time()
        while not self._stopping:
            due_s = self._next_phase(loop.time())
            try:
                self._require_access(caller, sites)
            except Unavailable as refusal:
                news = _error(refusal) if any(sent) or None in sent else b""
                sent = [b""] * len(sites)
            except Refusal as refusal:
                return _error(refusal)
            else:
                news = await self._news(sites, sent)
            if not news and loop.time() - sent_s + self._interval_s >= HEARTBEAT_S:
                news = b":\n\n"
            if news:
                await _send(send, news)
                sent_s = loop.time()
                del news  # else it would be held until the next one
            await asyncio.sleep(due_s - loop.time())
            if loop.time() >= end_s:
                break
        return _retry()

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

    async def _news(self, sites: list[Site], sent: list[bytes | None]) -> bytes:
        """Ask for each site, and return the events of those whose answer is not the one that was sent last.

        One that is not known is an error event, once; the next answer is sent whatever it says.
        """
        asked = (self._store.reads.of(site.tenant, site.id) for site in sites)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        events = []
        for number, (site, given) in enumerate(zip(sites, answers, strict=True)):
            if isinstance(given, Unavailable):
                digest, event = b"", _error(given)
            elif isinstance(given, BaseException):
                raise given
            else:
                digest, event = _told(site.id, given)
            if sent[number] != digest:
                sent[number] = digest
                events.append(event)
        # Of sites that are not known one event tells enough.
        return b"".join(dict.fromkeys(events))

    def _next_phase(self, now_s: float) -> float:
        phase_s = self._interval_s / PHASES
        return math.ceil((now_s + self._interval_s) / phase_s) * phase_s


async def _send(send: Send, message: bytes) -> None:
    await send({"type": "http.response.body", "body": message, "more_body": True})


@lru_cache(TOLD)
def _told(site_id: str, answer: bytes) -> tuple[bytes, bytes]:
    """What an answer says, its own time aside, which is its last field, as a digest; and the event that tells it."""
    says = answer.rpartition(b'"timestamp":')[0]
    event = b"event: realtime\ndata: " + msgspec.json.encode(Event(site_id, msgspec.Raw(answer))) + b"\n\n"
    return blake2b(says, digest_size=16).digest(), event


def _error(refusal: Refusal) -> bytes:
    return b"event: error\ndata: " + msgspec.json.encode(Error(str(refusal))) + b"\n\n"


def _retry() -> bytes:
    return b"retry: %d\n\n" % (1_000 * random.uniform(*RETRY_S))
