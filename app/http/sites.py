"""GET /api/sites: the sites that a token may read."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get

from app.http.caller import require_key
from app.http.errors import EVERY_ANSWER
from app.http.openapi import TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store


class ListedSite(msgspec.Struct, frozen=True):
    """A site as its readers see it."""

    id: str
    domain: Annotated[str, msgspec.Meta(description="The site's first domain.")]
    domains: tuple[str, ...]
    name: str


class SiteList(msgspec.Struct, frozen=True):
    """The sites that a token may read."""

    sites: list[ListedSite]


@get(
    "/api/sites",
    opt=described(
        "Sites that the token may read",
        {200: answer("The sites, by name", SiteList), **refusals(401, 403, 503)},
        security=TOKEN,
    ),
)
async def get_sites(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the sites that the token may read, by name."""
    store: Store = request.app.state.store
    key = require_key(request, store.directory, store.clock)
    key.require_scope("read")
    sites = [ListedSite(site.id, site.domains[0], site.domains, site.name) for site in store.directory.sites_of(key)]
    return Response(msgspec.json.encode(SiteList(sites)), media_type="application/json", headers=EVERY_ANSWER)


handlers = [allow_preflight("/api/sites", "GET, OPTIONS", "Authorization"), get_sites]
