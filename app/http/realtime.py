"""GET /api/realtime: who is on a site right now."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from app.domain.errors import AccessDenied, SiteIdRequired
from app.http.caller import require_key
from app.http.errors import CORS, EVERY_ANSWER, document
from app.store.store import Store


class RecentPageview(msgspec.Struct, frozen=True):
    """One pageview of the feed."""

    page: str
    timestamp: datetime
    country: str | None
    """ISO 3166-1 alpha-2; null where unknown."""


class MinuteVisitors(msgspec.Struct, frozen=True):
    """Distinct visitors of one minute."""

    minute: Annotated[str, msgspec.Meta(pattern=r"^\d\d:\d\d$")]
    """Start of the minute, HH:MM in UTC."""
    visitors: int


class RealtimeAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer; sql/realtime.sql makes it, this describes it."""

    active_visitors: int
    """Visitors active in the last 5 minutes."""
    pageviews_last5_min: int = msgspec.field(name="pageviewsLast5Min")
    """Total pageviews in the last 5 minutes."""
    page_breakdown: dict[str, int]
    """Active visitors by page, most first; at most 100 pages."""
    recent_pageviews: Annotated[list[RecentPageview], msgspec.Meta(max_length=10)]
    """Most recent pageviews, newest first."""
    visitors_per_minute: Annotated[list[MinuteVisitors], msgspec.Meta(min_length=5, max_length=5)]
    """Visitor count for the last 5 minutes, oldest first."""
    timestamp: datetime
    """Server timestamp of this response."""


@get(
    "/api/realtime",
    summary="Live visitor data of a site",
    security=[{"token": []}],
    responses=document(ResponseSpec(RealtimeAnswer, description="The answer"), 400, 401, 403, 503),
)
async def get_realtime(
    request: Request[Any, Any, Any],
    site_id: Annotated[str | None, QueryParameter(name="siteId", description="Your Site ID")] = None,
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


@route("/api/realtime", http_method=["OPTIONS"], include_in_schema=False)
async def preflight_realtime() -> Response[None]:
    return preflight("GET, OPTIONS", "Authorization")


def preflight(methods: str, headers: str) -> Response[None]:
    """Answer a browser's question before a request to another origin, for two hours."""
    allow = {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": "7200",
    }
    return Response(None, status_code=204, headers={**CORS, **allow})


# The preflight comes first: Litestar adds its own OPTIONS handler to a path that has none yet.
handlers = [preflight_realtime, get_realtime]
