"""Sites and API keys: kept in memory by every worker, so that checking a request costs no query; and changed."""

import asyncio
import logging
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from app import metrics
from app.domain.errors import Unavailable
from app.domain.keys import ApiKey, hash_token, new_key_id, new_token
from app.domain.sites import Site
from app.store.engine import Engine, decode_rows
from app.store.statements import Statement
from app.store.tenant_rows import (
    ADDITIONS,
    DIGESTS,
    KEYS,
    SITES,
    ApiKeyRow,
    KnownKey,
    KnownSite,
    NewSite,
    SiteRow,
)

log = logging.getLogger(__name__)

EVER = datetime.fromtimestamp(0, UTC)

NUMBER_DIGITS = 12
"""An addition begins with its number, so that the newest is the greatest."""

LOOK_OVER_EVERY_S = 300
"""A refresh reads what is newer than all it knows. Once in this time it looks whether that is all, whatever the clocks
have done, and reads everything where it is not."""

UINT64 = (1 << 64) - 1

# Goes on while the machine is suspended, which time.monotonic() does not; elsewhere than on Linux CLOCK_MONOTONIC does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


_ENCODER = msgspec.json.Encoder()


class Tenants:
    """Looks up sites by id and keys by token, whether known or not at the same cost; and stores changes of them."""

    def __init__(
        self, engine: Engine, statements: Mapping[str, Statement], *, max_age_s: float, cluster: str = ""
    ) -> None:
        self._engine = engine
        self._statements = statements
        self._max_age_s = max_age_s
        self._cluster = cluster
        self._sites: dict[str, KnownSite] = {}
        self._keys: dict[str, KnownKey] = {}
        self._sites_of_tenant: defaultdict[str, dict[str, KnownSite]] = defaultdict(dict)
        self.sites_version = 0
        """Grows when a site is new or has changed."""
        # The newest rows known, by the clock of ClickHouse: a worker's own may stand still, step or run ahead.
        self._newest_site = self._newest_key = EVER
        self._digests = [0, 0]  # of the sites, of the keys
        self._refreshed_at_s = self._looked_over_at_s = float("-inf")
        self._refreshing = asyncio.Lock()
        self._skipped: set[str] = set()
        self.to_clear: set[str] = set()
        """Removed sites whose rows are to be deleted from the other tables."""

    def require_fresh(self) -> None:
        """Raise Unavailable when a revocation could have been missed: the last refresh is too long ago."""
        if time.clock_gettime(CLOCK) - self._refreshed_at_s > self._max_age_s:
            raise Unavailable

    def site(self, site_id: str) -> Site | None:
        return self._sites.get(site_id)

    def shard_of(self, site_id: str) -> int:
        """The shard of a site, from 0; 0 too for one that has just been removed, of which there are no rows."""
        site = self._sites.get(site_id)
        return site.shard if site else 0

    def sites_of(self, key: ApiKey) -> list[Site]:
        """The sites that the key may read, by name."""
        return sorted(filter(key.may_read, self._reached(key)), key=lambda site: (site.name, site.id))

    def site_ids_of(self, key: ApiKey) -> list[str]:
        """The sites that the key reaches, in no order."""
        return [site.id for site in self._reached(key)]

    def count_sites(self, key: ApiKey) -> int:
        """How many sites the key reaches, at most."""
        return 1 if key.site_id else len(self._sites_of_tenant.get(key.tenant, ()))

    def _reached(self, key: ApiKey) -> list[KnownSite]:
        """What `key` reaches; a copy: its user may be in a thread, beside a refresh."""
        if key.site_id:
            site = self._sites.get(key.site_id)
            return [site] if site and site.tenant == key.tenant else []
        return list(self._sites_of_tenant.get(key.tenant, {}).values())

    def key(self, token: str) -> ApiKey | None:
        return self._keys.get(hash_token(token))

    def same_key(self, key: ApiKey) -> ApiKey | None:
        """A key as it is now."""
        return self._keys.get(key.token_sha256)

    async def refresh(self) -> None:
        """Read what changed. Raises EngineError; what is known stays."""
        async with self._refreshing:  # one after the other: none puts back what a later one has read
            await self._refresh()

    async def _refresh(self) -> None:
        started_at_s = time.clock_gettime(CLOCK)
        await self._read(self._newest_site, self._newest_key)
        look_over = started_at_s - self._looked_over_at_s >= LOOK_OVER_EVERY_S
        if look_over and not await self._knows_all():
            await self._read(EVER, EVER)
        self._refreshed_at_s = started_at_s
        metrics.directory_refreshed.set_to_current_time()
        if look_over:
            self._looked_over_at_s = started_at_s

    async def _read(self, sites_since: datetime, keys_since: datetime) -> None:
        sites, keys = await self._read_sites(sites_since), await self._read_keys(keys_since)
        for row in sites:
            self._take_site(row)
        for key in keys:
            self._take_key(key)
        self._newest_site = max([self._newest_site, *(row.updated_at for row in sites)])
        self._newest_key = max([self._newest_key, *(key.updated_at for key in keys)])

    async def _knows_all(self) -> bool:
        """Whether every row is known as it is: a look by ClickHouse, which sends none of them."""
        (digests,) = decode_rows(await self._engine.fetch(self._statements["sites/digests"]), DIGESTS)
        return [digests.sites, digests.keys] == [digest & UINT64 for digest in self._digests]

    def _take_key(self, row: ApiKeyRow) -> None:
        tenant, scope = sys.intern(row.tenant), sys.intern(row.scope)
        times = row.expires_at, row.revoked_at
        key = KnownKey(row.id, tenant, row.token_sha256, scope, row.site_id, *times, row.digest)
        before = self._keys.get(key.token_sha256)
        self._digests[1] += key.digest - (before.digest if before else 0)
        self._keys[key.token_sha256] = key

    def _take_site(self, row: SiteRow) -> None:
        if row.removed_at:
            (self.to_clear.discard if row.cleared_at else self.to_clear.add)(row.id)
            if self._sites.get(row.id):
                self._forget(row.id)
                self.sites_version += 1
            return
        self.to_clear.discard(row.id)
        # Of what many share, and of a name that is a domain, there is one in memory.
        tenant, name = sys.intern(row.tenant), row.domains[0] if row.name in row.domains[:1] else row.name
        site = KnownSite(row.id, tenant, row.domains, name, row.shard, row.digest)
        if self._is_readable(site.id) and self._sites.get(site.id) != site:
            self._forget(site.id)
            self._digests[0] += site.digest
            self._sites[site.id] = self._sites_of_tenant[site.tenant][site.id] = site
            self.sites_version += 1

    def _forget(self, site_id: str) -> None:
        if site := self._sites.pop(site_id, None):
            self._digests[0] -= site.digest
            of_tenant = self._sites_of_tenant[site.tenant]
            del of_tenant[site_id]
            if not of_tenant:
                del self._sites_of_tenant[site.tenant]

    async def list_sites(self) -> list[SiteRow]:
        """All sites, by id. Raises EngineError."""
        return [row for row in await self._read_sites(EVER) if row.removed_at is None]

    async def find_sites(self, site_ids: Sequence[str]) -> dict[str, SiteRow]:
        """The sites with these ids, by id, as they are stored now; removed ones included. Raises EngineError."""
        found = await self._engine.fetch(self._statements["sites/find"], {"ids": list(site_ids)})
        return {row.id: row for row in decode_rows(found, SITES)}

    async def add_site(self, site_id: str, tenant: str, domains: list[str], name: str) -> None:
        """Store a site, while nobody else adds any. Raises EngineError."""
        await self.add_sites([Site(site_id, tenant, tuple(domains), name)], await self.last_addition() + 1)

    async def last_addition(self) -> int:
        """The number of the newest addition of sites. Raises EngineError."""
        found = await self._engine.fetch(self._statements["sites/last_addition"])
        (row,) = decode_rows(found, ADDITIONS)
        return int(row.addition[:NUMBER_DIGITS] or 0)

    async def add_sites(self, sites: Sequence[Site], number: int) -> str:
        """Store new sites, all or none, as the addition of this number, and return it; none if there was another one.

        Whether they are stored is seen by their addition. Raises EngineError.
        """
        token = f"{number:0{NUMBER_DIGITS}}"
        addition = f"{token}-{uuid.uuid4().hex}"
        rows = [NewSite(site.id, site.tenant, site.domains, site.name, addition) for site in sites]
        await self._engine.execute(self._statements["sites/add"], {"token": token}, _ENCODER.encode_lines(rows))
        return addition

    async def set_site(self, site_id: str, domains: list[str], name: str) -> None:
        """Change a site that there is. Raises EngineError."""
        await self._engine.execute(self._statements["sites/set"], {"id": site_id, "domains": domains, "name": name})

    async def remove_site(self, site_id: str) -> None:
        """Remove a site that there is; its rows are deleted later. Raises EngineError."""
        await self._engine.execute(self._statements["sites/remove"], {"id": site_id})

    async def list_keys(self, tenant: str | None = None) -> list[ApiKeyRow]:
        """All keys, or those of a tenant, oldest first, revoked and expired ones included. Raises EngineError."""
        if tenant is None:
            return await self._read_keys(EVER)
        found = await self._engine.fetch(self._statements["keys/list_of_tenant"], {"tenant": tenant})
        return decode_rows(found, KEYS)

    async def create_key(self, tenant: str, scope: str, site_id: str, expires_days: int | None) -> tuple[str, str]:
        """Store a new key and return its id and its token, which is kept nowhere else. Raises EngineError."""
        key_id, token = new_key_id(), new_token(scope)
        parameters = {
            "id": key_id,
            "tenant": tenant,
            "token_sha256": hash_token(token),
            "scope": scope,
            "site_id": site_id,
            "expires_days": expires_days,
        }
        await self._engine.execute(self._statements["keys/add"], parameters)
        return key_id, token

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key that there is. Raises EngineError."""
        await self._engine.execute(self._statements["keys/revoke"], {"id": key_id})

    async def _read_sites(self, since: datetime) -> list[SiteRow]:
        """The sites written after `since` or lately."""
        return decode_rows(
            await self._engine.fetch(self._statements["sites/list"], {"since": since, "cluster": self._cluster}), SITES
        )

    async def _read_keys(self, since: datetime) -> list[ApiKeyRow]:
        """The keys written after `since` or lately."""
        return decode_rows(await self._engine.fetch(self._statements["keys/list"], {"since": since}), KEYS)

    def _is_readable(self, site_id: str) -> bool:
        """Whether an id may be asked for: a tab or a line's end, which only SQL can write, would spoil all answers."""
        if site_id.isprintable():
            return True
        if site_id not in self._skipped:
            self._skipped.add(site_id)
            log.warning("site %r is left out: its id has characters that are not printable", site_id)
        return False
