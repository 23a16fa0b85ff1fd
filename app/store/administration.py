"""Changes of sites and keys, by a tenant's own admin or, with no tenant named, by the operator of the service."""

import asyncio
import random
from collections.abc import Sequence

from app.domain.errors import IdTaken, NotFound, Unavailable
from app.domain.sites import Site, change_site
from app.store.removals import Removals
from app.store.tenant_rows import ApiKeyRow, SiteRow
from app.store.tenants import Tenants

ATTEMPTS = 20
"""So often an addition of sites is tried again that another one, of another worker, came before."""

PAUSE_S = 0.1


class Administration:
    """Looks at what is stored now, not at what the worker remembers; after a change this worker knows it at once.

    Every method raises EngineError, after which a change may have been made all the same. What is not the tenant's and
    what there is not is NotFound alike.
    """

    def __init__(self, tenants: Tenants, removals: Removals) -> None:
        self._tenants = tenants
        self._removals = removals
        self._changing = asyncio.Lock()

    async def list_sites(self, tenant: str | None) -> list[SiteRow]:
        """The sites, by id."""
        return [row for row in await self._tenants.list_sites() if tenant in (None, row.tenant)]

    async def find_site(self, tenant: str | None, site_id: str) -> SiteRow:
        """Return a site. Raises NotFound."""
        row = (await self._tenants.find_sites([site_id])).get(site_id)
        if row is None or row.removed_at or tenant not in (None, row.tenant):
            raise NotFound
        return row

    async def add_sites(self, sites: Sequence[Site]) -> list[SiteRow]:
        """Store new sites, all or none, and return them. Raises IdTaken.

        The id of a removed site stays with its tenant, in whose pages it may still stand: who has removed it may use it
        again, and the site starts empty. Raises Unavailable when others add sites all the time.
        """
        ids = [site.id for site in sites]
        number = 0
        async with self._changing:
            for _ in range(ATTEMPTS):
                # Before the ids are looked for: an addition that comes later has this number. None is tried twice: its
                # rows may have been deleted by hand.
                number = max(number, await self._tenants.last_addition()) + 1
                known = await self._tenants.find_sites(ids)
                for site in sites:
                    row = known.get(site.id)
                    if row and (row.removed_at is None or row.tenant != site.tenant):
                        raise IdTaken(f"id: {site.id} is taken")
                if known:
                    await self._removals.clear(list(known))
                addition = await self._tenants.add_sites(sites, number)
                added = await self._tenants.find_sites(ids)
                if all(site_id in added and added[site_id].addition == addition for site_id in ids):
                    await self._tenants.refresh_known()
                    return [added[site_id] for site_id in ids]
                await asyncio.sleep(random.uniform(0, PAUSE_S))
        raise Unavailable

    async def change_site(
        self, tenant: str | None, site_id: str, domains: Sequence[str] | None, name: str | None
    ) -> SiteRow:
        """Change a site and return it; what is None stays. Raises NotFound or InvalidValue."""
        async with self._changing:
            row = await self.find_site(tenant, site_id)
            changed = change_site(row, domains, name)
            await self._tenants.set_site(site_id, list(changed.domains), changed.name)
            await self._tenants.refresh_known()
        return await self.find_site(tenant, site_id)

    async def remove_site(self, tenant: str | None, site_id: str) -> None:
        """Remove a site; its rows are deleted later. Raises NotFound."""
        async with self._changing:
            await self.find_site(tenant, site_id)
            await self._tenants.remove_site(site_id)
            await self._tenants.refresh_known()

    async def list_keys(self, tenant: str | None) -> list[ApiKeyRow]:
        """The keys, oldest first, revoked and expired ones included."""
        return await self._tenants.list_keys(tenant)

    async def create_key(
        self, tenant: str, scope: str, site_id: str, expires_days: int | None
    ) -> tuple[ApiKeyRow, str]:
        """Store a new key and return it with its token, which is kept nowhere. Raises NotFound for the site."""
        if site_id:
            await self.find_site(tenant, site_id)
        key_id, token = await self._tenants.create_key(tenant, scope, site_id, expires_days)
        await self._tenants.refresh_known()
        return next(row for row in await self._tenants.list_keys(tenant) if row.id == key_id), token

    async def revoke_key(self, tenant: str | None, key_id: str) -> None:
        """Revoke a key, which may be revoked already. Raises NotFound."""
        if not any(row.id == key_id for row in await self._tenants.list_keys(tenant)):
            raise NotFound
        await self._tenants.revoke_key(key_id)
        await self._tenants.refresh_known()
