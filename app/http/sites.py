"""GET /api/sites: the sites that a token may read."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.domain.keys import ApiKey
from app.http.answers import EVERY_ANSWER, VARIES, answer_long_json
from app.http.caller import Callers, Request
from app.http.openapi import TOKEN, answer, described, refusals
from app.store.store import Store
from app.store.tenants import Tenants


class ListedSite(msgspec.Struct, frozen=True):
    """A site as its readers see it."""

    id: str
    domain: Annotated[str, msgspec.Meta(description="The site's first domain.")]
    domains: tuple[str, ...]
    name: str


class SiteList(msgspec.Struct, frozen=True):
    """The sites that a token may read."""

    sites: list[ListedSite]


SITES = described(
    "Sites that the token may read",
    {200: answer("The sites, by name", SiteList, {**EVERY_ANSWER, **VARIES}), **refusals(401, 403, 429, 503)},
    security=TOKEN,
)


def site_handlers(store: Store, callers: Callers) -> list[HTTPRouteHandler]:
    lists = SiteLists(store.tenants)

    @get("/api/sites", opt=SITES)
    async def get_sites(request: Request) -> Response[bytes]:
        """Return the sites that the token may read, by name."""
        caller = callers.authenticate(request)
        caller.key.require_scope("read")
        return await answer_long_json(request, await lists.of(caller.key))

    return [get_sites]


class SiteLists:
    """The encoded lists, one for each reach of a key, made anew when a site has changed."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self._version = -1
        self._lists: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def of(self, key: ApiKey) -> bytes:
        """The answer for a key. Who asks for the same one at the same time shares it."""
        if self._version != self._tenants.sites_version:
            self._version = self._tenants.sites_version
            self._lists.clear()
        reach = (key.tenant, key.site_id)  # all that a key's sites depend on, but for its scope
        if reach not in self._lists:
            # Tens of thousands of sites take a tenth of a second: in a thread, so that others are answered meanwhile.
            self._lists[reach] = asyncio.create_task(asyncio.to_thread(_encode, self._tenants, key))
        return await asyncio.shield(self._lists[reach])


def _encode(tenants: Tenants, key: ApiKey) -> bytes:
    sites = [ListedSite(site.id, site.domains[0], site.domains, site.name) for site in tenants.sites_of(key)]
    return msgspec.json.encode(SiteList(sites))
