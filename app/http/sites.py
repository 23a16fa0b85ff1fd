"""GET /api/sites: the sites that a token may read."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get

from app.domain.access import ApiKey
from app.http.caller import require_key
from app.http.errors import EVERY_ANSWER
from app.http.openapi import TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.directory import Directory
from app.store.store import Store


class ListedSite(msgspec.Struct, frozen=True):
    """A site as its readers see it."""

    id: str
    domain: Annotated[str, msgspec.Meta(description="The site's first domain.")]
    domains: tuple[str, ...]
    name: str


class SiteLists:
    """The encoded lists, one for each reach of a key, made anew when a site has changed."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._version = -1
        self._lists: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def of(self, key: ApiKey) -> bytes:
        """The answer for a key. Who asks for the same one at the same time shares it."""
        if self._version != self._directory.sites_version:
            self._version = self._directory.sites_version
            self._lists.clear()
        reach = (key.tenant, key.site_id)  # all that a key's sites depend on, but for its scope
        if reach not in self._lists:
            # Tens of thousands of sites take a tenth of a second: in a thread, so that others are answered meanwhile.
            self._lists[reach] = asyncio.create_task(asyncio.to_thread(_encode, self._directory, key))
        return await asyncio.shield(self._lists[reach])


def _encode(directory: Directory, key: ApiKey) -> bytes:
    sites = [ListedSite(site.id, site.domains[0], site.domains, site.name) for site in directory.sites_of(key)]
    return msgspec.json.encode(SiteList(sites))


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
    lists: SiteLists = request.app.state.site_lists
    return Response(await lists.of(key), media_type="application/json", headers=EVERY_ANSWER)


handlers = [allow_preflight("/api/sites", "GET, OPTIONS", "Authorization"), get_sites]
