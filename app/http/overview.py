"""GET /api/realtime/overview: all sites of a token at a glance, busiest first."""

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import InvalidRequest
from app.domain.overview import MAX_LIMIT, OverviewAnswer, SiteNow, Total
from app.http.answers import EVERY_ANSWER, VARIES, answer_long_json
from app.http.caller import Callers, Request
from app.http.openapi import TOKEN, answer, described, parameter, refusals
from app.http.preflight import allow_preflight
from app.store.overview import Reach
from app.store.store import Store

DEFAULT_LIMIT = 100


LIMIT = parameter(
    "limit", "How many sites at most", type="integer", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT
)
OVERVIEW = described(
    "All sites of the token at a glance",
    {200: answer("The sites", OverviewAnswer, {**EVERY_ANSWER, **VARIES}), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[LIMIT],
)


def overview_handlers(store: Store, callers: Callers) -> list[HTTPRouteHandler]:
    @get("/api/realtime/overview", opt=OVERVIEW)
    async def get_realtime_overview(request: Request) -> Response[bytes]:
        """Return who is on each of the token's sites, busiest first."""
        caller = callers.authenticate(request)
        limit = read_limit(request)
        caller.key.require_scope("read")
        caller.spend(store.tenants.count_sites(caller.key) - 1)  # one is counted
        sites, now = await store.overviews.of(
            Reach(caller.key.tenant, caller.key.site_id), store.tenants.site_ids_of(caller.key)
        )
        # A site that was removed meanwhile is left out.
        known = [(site, row) for row in sites if (site := caller.readable_or_none(row.site_id))]
        shown = [
            SiteNow(site.id, site.domains[0], site.name, row.active_visitors, row.pageviews, row.visitors_per_minute)
            for site, row in known[:limit]
        ]
        total = Total(
            sites=len(known),
            sites_with_visitors=sum(row.active_visitors > 0 for _, row in known),
            active_visitors=sum(row.active_visitors for _, row in known),
            pageviews_last5_min=sum(row.pageviews for _, row in known),
        )
        return await answer_long_json(request, msgspec.json.encode(OverviewAnswer(shown, total, now)))

    return [
        allow_preflight("/api/realtime/overview", "GET, OPTIONS", "Authorization"),
        get_realtime_overview,
    ]


def read_limit(request: Request) -> int:
    """The query's `limit`. Raises InvalidRequest for one that is no whole number within its bounds."""
    given = request.query_params.getall("limit", [str(DEFAULT_LIMIT)])
    text = given[0]
    # isdecimal() is true for digits of other scripts too.
    if len(given) != 1 or not (text.isascii() and text.isdecimal()) or len(text) > 9 or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequest(f"limit: use a whole number from 1 to {MAX_LIMIT}")
    return int(text)
