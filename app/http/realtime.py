"""GET /api/realtime: who is on a site right now."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.domain.realtime import RealtimeAnswer
from app.http.answers import answer_json
from app.http.caller import Request, authenticate, required_site_id
from app.http.openapi import SITE_ID, TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

REALTIME = described(
    "Live visitor data of a site",
    {200: answer("The answer", RealtimeAnswer), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[SITE_ID],
)


def realtime_handlers(store: Store) -> list[HTTPRouteHandler]:
    @get("/api/realtime", opt=REALTIME)
    async def get_realtime(request: Request) -> Response[bytes]:
        """Return live data about visitors currently on your site."""
        caller = authenticate(request, store)
        site = caller.readable(required_site_id(request))
        return answer_json(await store.reads.of(site.tenant, site.id))

    return [allow_preflight("/api/realtime", "GET, OPTIONS", "Authorization"), get_realtime]
