"""GET /api/realtime: who is on a site right now."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import QueryParameter

from app.domain.errors import AccessDenied, SiteIdRequired
from app.domain.realtime import RealtimeAnswer
from app.http.caller import require_key
from app.http.errors import EVERY_ANSWER
from app.http.openapi import SITE_ID, TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store


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
