"""POST /api/track: signals in. 200 means committed to ClickHouse."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, post

from app.domain.access import ApiKey, Site
from app.domain.errors import OriginNotAllowed, UnknownSite
from app.domain.signals import TEXT_MAX_CHARACTERS, ServerBatch, ServerSignal, Signal, read_body
from app.http.allowance import Allowance
from app.http.bodies import Bodies
from app.http.caller import address_of, header_of, optional_key
from app.http.errors import EVERY_ANSWER
from app.http.openapi import TOKEN_OR_NONE, answer, described, parameter, refusals
from app.http.preflight import allow_preflight
from app.store.directory import Directory
from app.store.store import Store


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


@post(
    "/api/track",
    status_code=200,
    opt=described(
        "Send one signal or a batch",
        {200: answer("Committed", Tracked), **refusals(400, 401, 403, 404, 408, 413, 429, 503)},
        security=TOKEN_OR_NONE,
        parameters=[USER_AGENT, ORIGIN],
        requestBody=BODY,
    ),
)
async def post_track(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Store signals: pageviews, events, engagement, heartbeats. 200 means committed; otherwise nothing is stored."""
    store: Store = request.app.state.store
    bodies: Bodies = request.app.state.bodies
    # Before anything is checked: a client that is answered while it sends does not get to its answer.
    async with bodies.read(request) as body:
        key = optional_key(request, store.directory, store.clock)
        if key is not None:
            key.require_scope("write")
        kind = Signal if key is None else ServerSignal
        signals, is_batch = read_body(body, request.app.state.batch_max_signals, kind)
        if key is None:
            allowance: Allowance = request.app.state.allowance
            allowance.spend(address_of(request), len(signals), len(body))
        rows, count = await make_rows(request, store, signals, key)
    # While the rows wait for their commit nothing else of the request is kept.
    del body, signals
    await store.signals.commit(rows, count)
    # A bot is told no more than anybody: its batch is answered without a count.
    counted = is_batch and (count > 0 or key is not None)
    body = msgspec.json.encode(Tracked(True, count if counted else msgspec.UNSET))
    return Response(body, media_type="application/json", headers=EVERY_ANSWER)


async def make_rows(
    request: Request[Any, Any, Any], store: Store, signals: Sequence[Signal], key: ApiKey | None
) -> tuple[bytes, int]:
    """The rows of a request's signals and how many they are: all, but for those of bots.

    Raises UnknownSite, OriginNotAllowed, InvalidSignal or Unavailable.
    """
    origin = header_of(request, b"origin")
    sites = {
        site_id: _require_site(store.directory, site_id, origin, key)
        for site_id in {signal.site_id or "" for signal in signals}
    }
    # Cut as a server-side `userAgent` is limited.
    user_agent = (header_of(request, b"user-agent") or "")[:TEXT_MAX_CHARACTERS]
    return await store.intake.make_rows(signals, sites, address_of(request), user_agent)


def _require_site(directory: Directory, site_id: str, origin: str | None, key: ApiKey | None) -> Site:
    site = directory.site(site_id)
    if site is None:
        directory.require_fresh()
        raise UnknownSite
    if key is not None and not key.may_write(site):
        raise UnknownSite
    if origin is not None and not site.allows_origin_host(_host(origin)):
        raise OriginNotAllowed
    return site


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


handlers = [allow_preflight("/api/track", "POST, OPTIONS", "Content-Type"), post_track]
