"""POST /api/track and its pixel: signals in. 200 means committed to ClickHouse."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import InvalidRequest, OriginNotAllowed, UnknownSite
from app.domain.repetitions import HEADER as KEY_HEADER
from app.domain.repetitions import KEY_PATTERN, KeyedRequest, keyed_request
from app.domain.signals import ServerBatch, ServerSignal, Signal, read_body
from app.domain.sites import Site
from app.http.answers import CORS, Answer, answer_json
from app.http.bodies import Bodies
from app.http.caller import (
    Caller,
    Callers,
    Request,
    header_of,
    headers_of,
    required_site_id,
    sender_of,
)
from app.http.openapi import SITE_ID, TOKEN_OR_NONE, answer, described, parameter, refusals, unclear_refusal
from app.http.preflight import allow_preflight
from app.http.rate_limit import RateLimit
from app.store.store import Store

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""The smallest transparent GIF."""
PIXEL_HEADERS = {**CORS, "Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "no-store"}


class Tracked(msgspec.Struct, frozen=True):
    """The answer to accepted signals."""

    success: Annotated[bool, msgspec.Meta(description="Always true.")]
    count: Annotated[
        Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType,
        msgspec.Meta(description="With a batch: how many signals were stored; those of bots are not."),
    ] = msgspec.UNSET


WITH_SITE_ID = {"required": ["siteId"], "properties": {"siteId": {"type": "string", "pattern": r"\S"}}}
SENT = {"anyOf": [{"allOf": [ServerSignal, WITH_SITE_ID]}, ServerBatch]}
BODY = {
    "description": "One signal or a batch, JSON in UTF-8 whatever content type is named. "
    "`text/plain` is what `navigator.sendBeacon` sends without a preflight.",
    "required": True,
    "content": {"application/json": {"schema": SENT}, "text/plain": {"schema": SENT}},
}
USER_AGENT = parameter("User-Agent", "Part of who the visitor is; the signals of bots are not stored", place="header")
ORIGIN = parameter("Origin", "The page's origin; its host must be a domain of the site", place="header")
IDEMPOTENCY_KEY = parameter(
    KEY_HEADER,
    "With a key of scope `write`: the same request may be sent again for 10 minutes, and is stored once",
    place="header",
    pattern=KEY_PATTERN,
)
TRACK = described(
    "Send one signal or a batch",
    {200: answer("Committed", Tracked), **refusals(400, 401, 403, 404, 408, 413, 422, 429), **unclear_refusal()},
    security=TOKEN_OR_NONE,
    parameters=[USER_AGENT, ORIGIN, IDEMPOTENCY_KEY],
    requestBody=BODY,
)
TRACK_PIXEL = described(
    "Count a pageview of a browser without scripts",
    {
        200: answer("A transparent pixel", {}, PIXEL_HEADERS, "image/gif"),
        **refusals(400, 403, 404, 429),
        **unclear_refusal(),
    },
    parameters=[
        SITE_ID,
        parameter("path", "The page; the Referer's path if not given"),
        parameter("Referer", "The page, where no path is given", place="header"),
        USER_AGENT,
        ORIGIN,
    ],
)


STORES = {"stores": True}
"""A 503 of these says whether it is safe to send again."""


def track_handlers(
    store: Store, callers: Callers, bodies: Bodies, rate_limit: RateLimit, *, batch_max_signals: int
) -> list[HTTPRouteHandler]:
    @post("/api/track", status_code=200, opt={**TRACK, **STORES})
    async def post_track(request: Request) -> Response[bytes]:
        """Store signals: pageviews, events, engagement, heartbeats. 200 means committed; else nothing is stored."""
        # Before anything is checked: a client that is answered while it sends does not get to its answer.
        async with bodies.read(request) as body:
            caller = callers.authenticate_or_none(request)
            sender = sender_of(request)
            if caller is not None:
                caller.key.require_scope("write")
                signals, is_batch = read_body(body, batch_max_signals, ServerSignal)
            else:
                rate_limit.require_body(sender.address, len(body))
                signals, is_batch = read_body(body, batch_max_signals, Signal)
                rate_limit.spend_signals(sender.address, len(signals), len(body))
            sites = sites_of(request, store, signals, caller)
            make_rows = partial(store.intake.make_rows, signals, sites, sender)
            keyed = keyed_request_or_none(request, caller, sites, body, len(signals))
            if keyed is None:
                rows, count = await make_rows()
            else:
                count = await store.repeatable.commit(keyed, make_rows)
        # While the rows wait for their commit nothing else of the request is kept.
        del body, signals, make_rows
        if keyed is None:
            await store.inserts.commit(rows, count)
        # A bot is told no more than anybody: its batch is answered without a count.
        counted = is_batch and (count > 0 or caller is not None)
        return answer_json(msgspec.json.encode(Tracked(True, count if counted else msgspec.UNSET)))

    @get("/api/track.gif", opt={**TRACK_PIXEL, **STORES})
    async def get_track_pixel(request: Request) -> Response[bytes]:
        """Store a pageview, as `POST /api/track` does, and answer with a transparent GIF of one pixel."""
        sender = sender_of(request)
        rate_limit.spend_signals(sender.address, signals=1)
        path = request.query_params.get("path") or header_of(request, b"referer")
        signal = Signal(site_id=required_site_id(request), path=path)
        sites = sites_of(request, store, [signal], None)
        await store.inserts.commit(*await store.intake.make_rows([signal], sites, sender))
        return Answer(PIXEL, "image/gif", PIXEL_HEADERS)

    return [allow_preflight("/api/track", "POST, OPTIONS", "Content-Type"), post_track, get_track_pixel]


def sites_of(request: Request, store: Store, signals: Sequence[Signal], caller: Caller | None) -> dict[str, Site]:
    """The sites of a request's signals. Raises UnknownSite, OriginNotAllowed or Unavailable."""
    origin = header_of(request, b"origin")
    return {
        site_id: _require_site(store, site_id, origin, caller)
        for site_id in {signal.site_id or "" for signal in signals}
    }


def keyed_request_or_none(
    request: Request, caller: Caller | None, site_ids: Iterable[str], body: bytes, signals: int
) -> KeyedRequest | None:
    """What a request with an Idempotency-Key is known by; None without that header. Raises InvalidRequest."""
    given = headers_of(request, b"idempotency-key")
    if not given:
        return None
    if caller is None:
        raise InvalidRequest(f"{KEY_HEADER}: needs an API key of scope write")
    if len(given) > 1:
        raise InvalidRequest(f"{KEY_HEADER}: use one")
    return keyed_request(given[0], caller.key.tenant, site_ids, body, signals)


def _require_site(store: Store, site_id: str, origin: str | None, caller: Caller | None) -> Site:
    site = store.tenants.site(site_id)
    if site is None:
        store.tenants.require_fresh()
        raise UnknownSite
    if caller is not None and not caller.key.may_write(site):
        raise UnknownSite
    if origin is not None and not site.allows_origin_host(_host(origin)):
        raise OriginNotAllowed
    return site


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""
