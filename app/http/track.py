"""POST /api/track: signals in. 200 means committed to ClickHouse."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, post, route
from litestar.openapi.datastructures import ResponseSpec

from app.domain.access import ApiKey
from app.domain.errors import OriginNotAllowed, UnknownSite
from app.domain.signals import Signal, read_body
from app.http.allowance import Allowance
from app.http.caller import address_of, header_of, optional_key
from app.http.errors import EVERY_ANSWER, document
from app.http.realtime import preflight
from app.store.directory import Directory
from app.store.intake import Caller
from app.store.store import Store


class Tracked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to accepted signals."""

    success: bool
    count: int | None = None
    """With a batch: how many signals were stored; those of bots are not."""


@post(
    "/api/track",
    status_code=200,
    summary="Send one signal or a batch",
    security=[{}, {"token": []}],
    responses=document(ResponseSpec(Tracked, description="Committed"), 400, 401, 403, 404, 413, 429, 503),
)
async def post_track(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Store signals: pageviews, events, engagement, heartbeats. 200 means committed; otherwise nothing is stored."""
    store: Store = request.app.state.store
    allowance: Allowance = request.app.state.allowance
    key = optional_key(request, store.directory, store.clock)
    if key is None:
        allowance.spend(address_of(request))
    else:
        key.require_scope("write")
    signals, is_batch = read_body(await request.body(), request.app.state.batch_max_signals)
    count = await accept(request, store, signals, key)
    # A bot is told no more than anybody: its batch is answered without a count.
    counted = is_batch and (count > 0 or key is not None)
    body = msgspec.json.encode(Tracked(True, count if counted else None))
    return Response(body, media_type="application/json", headers=EVERY_ANSWER)


async def accept(request: Request[Any, Any, Any], store: Store, signals: list[Signal], key: ApiKey | None) -> int:
    """Commit the signals of a request and return how many were stored: all, but for those of bots.

    Raises UnknownSite, OriginNotAllowed, InvalidSignal or Unavailable; then nothing is stored.
    """
    origin = header_of(request, b"origin")
    for site_id in {signal.site_id or "" for signal in signals}:
        _require_site(store.directory, site_id, origin, key)
    caller = Caller(address_of(request), header_of(request, b"user-agent") or "", key is not None)
    return await store.intake.take(signals, caller)


def _require_site(directory: Directory, site_id: str, origin: str | None, key: ApiKey | None) -> None:
    site = directory.site(site_id)
    if site is None:
        directory.require_fresh()
        raise UnknownSite
    if key is not None and not key.may_write(site):
        raise UnknownSite
    if origin is not None and not site.allows_origin_host(_host(origin)):
        raise OriginNotAllowed


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


@route("/api/track", http_method=["OPTIONS"], include_in_schema=False)
async def preflight_track() -> Response[None]:
    return preflight("POST, OPTIONS", "Content-Type")


handlers = [preflight_track, post_track]
