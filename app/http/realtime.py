"""GET /api/realtime and what goes with it: who is on a site right now, by what, and how that went."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import InvalidParameter
from app.domain.realtime import DIMENSIONS, BreakdownAnswer, Dimension, HistoryAnswer, RealtimeAnswer
from app.http.answers import answer_json
from app.http.caller import Callers, Request, required_site_id
from app.http.openapi import SITE_ID, TOKEN, answer, described, parameter, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

MINUTES_MAX = 1440
MINUTES_DEFAULT = 30
DAYS_AGO_MAX = 30
"""Within the retention of visitor_minutes."""

REALTIME = described(
    "Live visitor data of a site",
    {200: answer("The answer", RealtimeAnswer), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[SITE_ID],
)
BREAKDOWN = described(
    "Active visitors of a site by one dimension",
    {200: answer("The answer", BreakdownAnswer), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[
        SITE_ID,
        parameter("by", "The dimension", required=True, enum=list(DIMENSIONS)),
        *[
            parameter(name, f"Only visitors with this {name}; empty: with none; with a `*` at the end: a beginning")
            for name in DIMENSIONS
        ],
    ],
)
HISTORY = described(
    "How the live number of a site went",
    {200: answer("The answer", HistoryAnswer), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[
        SITE_ID,
        parameter(
            "minutes",
            "How many minutes, the one in progress included",
            type="integer",
            minimum=1,
            maximum=MINUTES_MAX,
            default=MINUTES_DEFAULT,
        ),
        parameter(
            "daysAgo",
            "The same minutes so many times 24 hours earlier",
            type="integer",
            minimum=0,
            maximum=DAYS_AGO_MAX,
            default=0,
        ),
    ],
)


def realtime_handlers(store: Store, callers: Callers) -> list[HTTPRouteHandler]:
    @get("/api/realtime", opt=REALTIME)
    async def get_realtime(request: Request) -> Response[bytes]:
        """Return live data about visitors currently on your site."""
        caller = callers.authenticate(request)
        site = caller.readable(required_site_id(request))
        async with caller.turn():
            return answer_json(await store.reads.of(site.tenant, site.id))

    @get("/api/realtime/breakdown", opt=BREAKDOWN)
    async def get_breakdown(request: Request) -> Response[bytes]:
        """Return the active visitors by page, country, referrer or campaign. Each has exactly one value of each."""
        caller = callers.authenticate(request)
        site_id, by, filters = required_site_id(request), required_dimension(request), filters_of(request)
        site = caller.readable(site_id)
        return answer_json(await store.reports.breakdown(site.tenant, site.id, by, filters))

    @get("/api/realtime/history", opt=HISTORY)
    async def get_history(request: Request) -> Response[bytes]:
        """Return the active visitors as they were at the end of each minute, and the visitors of each minute."""
        caller = callers.authenticate(request)
        site_id = required_site_id(request)
        minutes = whole_number_of(request, "minutes", MINUTES_DEFAULT, 1, MINUTES_MAX)
        days_ago = whole_number_of(request, "daysAgo", 0, 0, DAYS_AGO_MAX)
        site = caller.readable(site_id)
        return answer_json(await store.reports.history(site.tenant, site.id, minutes, days_ago))

    paths = ("/api/realtime", "/api/realtime/breakdown", "/api/realtime/history")
    preflights = [allow_preflight(path, "GET, OPTIONS", "Authorization") for path in paths]
    return [*preflights, get_realtime, get_breakdown, get_history]


def required_dimension(request: Request) -> Dimension:
    """Return the query's one `by`. Raises InvalidParameter naming the allowed ones."""
    given = request.query_params.getall("by", [])
    for name in DIMENSIONS:
        if given == [name]:
            return name
    raise InvalidParameter(f"by: use one of {', '.join(DIMENSIONS)}")


def filters_of(request: Request) -> dict[Dimension, str]:
    """Return the query's filters. Raises InvalidParameter for one that is given twice."""
    filters: dict[Dimension, str] = {}
    for name in DIMENSIONS:
        given = request.query_params.getall(name, [])
        if len(given) > 1:
            raise InvalidParameter(f"{name}: given more than once")
        if given:
            filters[name] = str(given[0])
    return filters


def whole_number_of(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a number of the query, or its default. Raises InvalidParameter."""
    given = request.query_params.getall(name, [str(default)])
    if len(given) == 1 and given[0].isascii() and given[0].isdecimal() and len(given[0]) <= len(str(most)):
        number = int(given[0])
        if least <= number <= most:
            return number
    raise InvalidParameter(f"{name}: a whole number from {least} to {most}")
