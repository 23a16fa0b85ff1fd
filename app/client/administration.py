"""Sites and keys of a running service, changed over HTTP by who has an admin key of their tenant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from app.client.ask import asking, client_options, read_answer
from app.domain.errors import IdTaken, NotFound
from app.domain.sites import Site

Answer = TypeVar("Answer")


class RemoteSite(Site, frozen=True):
    """A site as the service shows it: all are of the key's tenant, whose name it does not tell."""

    id: str
    tenant: str = ""
    domains: tuple[str, ...] = ()
    name: str = ""


class RemoteKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key as the service shows it."""

    id: str
    scope: str
    site_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    token: str = ""
    tenant: str = ""


class _Sites(msgspec.Struct, frozen=True):
    sites: list[RemoteSite]


class _Keys(msgspec.Struct, frozen=True):
    keys: list[RemoteKey]


class RemoteAdministration:
    """The same as app/store/administration.py, through a service. The tenant is the key's, whatever is given.

    Every method raises NoAnswer.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(**client_options(url, token))

    async def list_sites(self, _tenant: str | None) -> list[RemoteSite]:
        return (await self._ask("GET", "/api/sites", None, _Sites)).sites

    async def add_sites(self, sites: Sequence[Site]) -> list[RemoteSite]:
        """Raises IdTaken."""
        new = [{"id": site.id, "domains": site.domains, "name": site.name} for site in sites]
        return (await self._ask("POST", "/api/sites", {"sites": new}, _Sites)).sites

    async def change_site(
        self, _tenant: str | None, site_id: str, domains: Sequence[str] | None, name: str | None
    ) -> RemoteSite:
        """Raises NotFound."""
        change = {"domains": domains, "name": name}
        return await self._ask("PATCH", f"/api/sites/{quote(site_id, safe='')}", change, RemoteSite)

    async def remove_site(self, _tenant: str | None, site_id: str) -> None:
        """Raises NotFound."""
        await self._delete(f"/api/sites/{quote(site_id, safe='')}")

    async def list_keys(self, _tenant: str | None) -> list[RemoteKey]:
        return (await self._ask("GET", "/api/keys", None, _Keys)).keys

    async def create_key(
        self, _tenant: str, scope: str, site_id: str, expires_days: int | None
    ) -> tuple[RemoteKey, str]:
        """Raises NotFound for the site."""
        new = {"scope": scope, "siteId": site_id or None, "expiresInDays": expires_days}
        key = await self._ask("POST", "/api/keys", new, RemoteKey)
        return key, key.token

    async def revoke_key(self, _tenant: str | None, key_id: str) -> None:
        """Raises NotFound."""
        await self._delete(f"/api/keys/{quote(key_id, safe='')}")

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, path: str, body: Any, kind: type[Answer]) -> Answer:
        return read_answer(await self._send(method, path, None if body is None else msgspec.json.encode(body)), kind)

    async def _delete(self, path: str) -> None:
        response = await self._send("DELETE", path, None)
        if response.status_code != 204:
            read_answer(response, type(None))

    async def _send(self, method: str, path: str, content: bytes | None) -> httpx.Response:
        with asking(self._url):
            response = await self._client.request(method, path, content=content)
        if response.status_code == 404 and (path.count("/") > 2 or path == "/api/keys"):
            raise NotFound
        if response.status_code == 409:
            raise IdTaken(str(response.json().get("error", "taken")))
        return response
