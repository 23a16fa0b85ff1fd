"""GET /api/realtime: who is on a site right now."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import QueryParameter

from app.domain.errors import AccessDenied, SiteIdRequired
from app.http.caller import require_key
from app.http.errors import EVERY_ANSWER
from app.http.openapi import SITE_ID, TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class RecentPageview(msgspec.Struct, frozen=True):
    """One pageview of the feed."""

    page: str
    timestamp: Instant
    country: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None,
        msgspec.Meta(description="ISO 3166-1 alpha-2; null where unknown."),
    ]


class MinuteVisitors(msgspec.Struct, frozen=True):
    """Distinct visitors of one minute."""

    minute: Annotated[str, msgspec.Meta(pattern=r"^\d\d:\d\d$", description="Start of the minute, HH:MM in UTC.")]
    visitors: Count


# sql/realtime.sql makes the answer; this describes it.
class RealtimeAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Who is on a site right now; every field speaks of the same five minutes."""

    active_visitors: Annotated[Count, msgspec.Meta(description="Visitors active in the last 5 minutes.")]
    pageviews_last5_min: Annotated[Count, msgspec.Meta(description="Total pageviews in the last 5 minutes.")] = (
        msgspec.field(name="pageviewsLast5Min")
    )
    page_breakdown: Annotated[
        dict[str, Count], msgspec.Meta(max_length=100, description="Active visitors by page, most first.")
    ]
    recent_pageviews: Annotated[
        list[RecentPageview], msgspec.Meta(max_length=10, description="Most recent pageviews, newest first.")
    ]
    visitors_per_minute: Annotated[
        list[MinuteVisitors],
        msgspec.Meta(min_length=5, max_length=5, description="Visitor count for the last 5 minutes, oldest first."),
    ]
    timestamp: Annotated[Instant, msgspec.Meta(description="Server timestamp of this response, whole seconds, UTC.")]


@get(
    "/api/realtime",
    opt=described(
        "Live visitor data of a site",
        {200: answer("The answer", RealtimeAnswer), **refusals(400, 401, 403, 503)},
        security=TOKEN,
        parameters=[SITE_ID],
    ),
)
async def get_realtime(
    request: Request[Any, Any, Any],
    site_id: Annotated[str | None, QueryParameter(name="siteId")] = None,
) -> Response[bytes]:
    """Return live data about visitors currently on your site."""
    store: Store = request.app.state.store
    key = require_key(request, store.directory, store.clock)
    if not site_id or not site_id.strip() or len(request.query_params.getall("siteId")) > 1:
        raise SiteIdRequired
    site = store.directory.site(site_id)
    if site is None or not key.may_read(site):
        raise AccessDenied
    answer = await store.answers.of(site.tenant, site.id)
    return Response(answer, media_type="application/json", headers=EVERY_ANSWER)


handlers = [allow_preflight("/api/realtime", "GET, OPTIONS", "Authorization"), get_realtime]
