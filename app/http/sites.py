"""GET /api/sites: the sites that a token may read."""

from typing import Any

import msgspec
from litestar import Request, Response, get, route
from litestar.openapi.datastructures import ResponseSpec

from app.http.caller import require_key
from app.http.errors import EVERY_ANSWER, document
from app.http.realtime import preflight
from app.store.store import Store


class ListedSite(msgspec.Struct, frozen=True):
    """A site as its readers see it."""

    id: str
    domain: str
    """The site's first domain."""
    domains: tuple[str, ...]
    name: str


class SiteList(msgspec.Struct, frozen=True):
    sites: list[ListedSite]


@get(
    "/api/sites",
    summary="Sites that the token may read",
    security=[{"token": []}],
    responses=document(ResponseSpec(SiteList, description="The sites, by name"), 401, 403, 503),
)
async def get_sites(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the sites that the token may read, by name."""
    store: Store = request.app.state.store
    key = require_key(request, store.directory, store.clock)
    key.require_scope("read")
    sites = [ListedSite(site.id, site.domains[0], site.domains, site.name) for site in store.directory.sites_of(key)]
    return Response(msgspec.json.encode(SiteList(sites)), media_type="application/json", headers=EVERY_ANSWER)


@route("/api/sites", http_method=["OPTIONS"], include_in_schema=False)
async def preflight_sites() -> Response[None]:
    return preflight("GET, OPTIONS", "Authorization")


handlers = [preflight_sites, get_sites]
