"""Sites and API keys: kept in memory by every worker, so that checking a request costs no query; and changed."""

import asyncio
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from app import metrics
from app.domain.errors import Unavailable
from app.domain.keys import ApiKey, hash_token, new_key_id, new_token
from app.domain.sites import Site
from app.store.directory import BUCKETS, Digests, Directory
from app.store.engine import Engine, decode_rows
from app.store.statements import Statement
from app.store.tenant_rows import (
    ADDITIONS,
    DIGESTS,
    KEPT_KEYS,
    KEPT_SITES,
    KEYS,
    SITES,
    ApiKeyRow,
    Bucket,
    NewSite,
    SiteRow,
)

NUMBER_DIGITS = 12
"""An addition begins with its number, so that the newest is the greatest."""

LOOK_OVER_EVERY_S = 300
"""A refresh reads what is newer than all it knows. At first, and then once in this time, it looks whether that is all,
whatever the clocks have done, and reads the buckets in which it is not."""

PAGE_ROWS = 200_000
"""So many sites or keys are read at once: what comes is larger than what is kept of it, and takes its time."""

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
        self._known = Directory()
        # The newest rows known, by the clock of ClickHouse: a worker's own may stand still, step or run ahead.
        self._newest_ms = {"sites": 0, "keys": 0}
        self._refreshed_at_s = self._looked_over_at_s = float("-inf")
        self._refreshing = asyncio.Lock()

    @property
    def sites_version(self) -> int:
        """Grows when a site is new or has changed."""
        return self._known.sites_version

    @property
    def to_clear(self) -> Collection[str]:
        """Removed sites whose rows are to be deleted from the other tables."""
        return self._known.to_clear.keys()

    def require_fresh(self) -> None:
        """Raise Unavailable when a revocation could have been missed: the last refresh is too long ago."""
        if time.clock_gettime(CLOCK) - self._refreshed_at_s > self._max_age_s:
            raise Unavailable

    def site(self, site_id: str) -> Site | None:
        return self._known.sites.get(site_id)

    def shard_of(self, site_id: str) -> int:
        """The shard of a site, from 0; 0 too for one that has just been removed, of which there are no rows."""
        site = self._known.sites.get(site_id)
        return site.shard if site else 0

    def sites_of(self, key: ApiKey) -> list[Site]:
        """The sites that the key may read, by name."""
        return sorted(filter(key.may_read, self._known.reached(key)), key=lambda site: (site.name, site.id))

    def site_ids_of(self, key: ApiKey) -> list[str]:
        """The sites that the key reaches, in no order."""
        return [site.id for site in self._known.reached(key)]

    def count_sites(self, key: ApiKey) -> int:
        """How many sites the key reaches, at most."""
        return 1 if key.site_id else len(self._known.sites_of_tenant.get(key.tenant, ()))

    def key(self, token: str) -> ApiKey | None:
        return self._known.keys.get(hash_token(token))

    def same_key(self, key: ApiKey) -> ApiKey | None:
        """A key as it is now."""
        return self._known.keys.get(key.token_sha256)

    async def refresh(self) -> None:
        """Read what changed. Raises EngineError; what is known stays."""
        async with self._refreshing:  # one after the other: none puts back what a later one has read
            await self._refresh()

    async def refresh_known(self) -> None:
        """The same for what is known already; nothing where that is nothing, as in a command of the command line."""
        if self._refreshed_at_s != float("-inf"):
            await self.refresh()

    async def _refresh(self) -> None:
        if time.clock_gettime(CLOCK) - self._looked_over_at_s >= LOOK_OVER_EVERY_S:
            looked_over_at_s = time.clock_gettime(CLOCK)
            await self._read_missed()
            self._looked_over_at_s = looked_over_at_s
        # After that: reading all takes a while, in which more may change.
        started_at_s = time.clock_gettime(CLOCK)
        await self._read_changed()
        self._refreshed_at_s = started_at_s
        metrics.directory_refreshed.set_to_current_time()

    async def _read_changed(self) -> None:
        changed_sites, changed_keys = self._statements["sites/changed"], self._statements["keys/changed"]
        since = {"since_ms": self._newest_ms["sites"], "cluster": self._cluster}
        for site in decode_rows(await self._engine.fetch(changed_sites, since), KEPT_SITES):
            self._known.take_site(site)
            self._newest_ms["sites"] = max(self._newest_ms["sites"], site.updated_ms)
        since = {"since_ms": self._newest_ms["keys"]}
        for key in decode_rows(await self._engine.fetch(changed_keys, since), KEPT_KEYS):
            self._known.take_key(key)
            self._newest_ms["keys"] = max(self._newest_ms["keys"], key.updated_ms)

    async def _read_missed(self) -> None:
        """Read the buckets in which something is not known as it is, as sums by ClickHouse tell."""
        found = decode_rows(await self._engine.fetch(self._statements["sites/digests"], {"of": BUCKETS}), DIGESTS)
        in_sites, in_keys = self._statements["sites/in_buckets"], self._statements["keys/in_buckets"]
        for buckets in _pages(found, "sites", self._known.site_digests):
            asked = {"of": BUCKETS, "buckets": buckets, "cluster": self._cluster}
            for site in decode_rows(await self._engine.fetch(in_sites, asked), KEPT_SITES):
                self._known.take_site(site)
        for buckets in _pages(found, "keys", self._known.key_digests):
            asked = {"of": BUCKETS, "buckets": buckets}
            for key in decode_rows(await self._engine.fetch(in_keys, asked), KEPT_KEYS):
                self._known.take_key(key)
        for bucket in found:
            self._newest_ms[bucket.of] = max(self._newest_ms[bucket.of], bucket.newest_ms)

    async def list_sites(self) -> list[SiteRow]:
        """All sites, by id. Raises EngineError."""
        return decode_rows(await self._engine.fetch(self._statements["sites/list"]), SITES)

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
            return decode_rows(await self._engine.fetch(self._statements["keys/list"]), KEYS)
        found = await self._engine.fetch(self._statements["keys/list_of_tenant"], {"tenant": tenant})
        return decode_rows(found, KEYS)

    async def create_key(self, tenant: str, scope: str, site_id: str, expires_days: int | None) -> tuple[str, str]:
        """Store a new key and return its id and its token, which is kept nowhere else. Raises EngineError."""
        key_id, token = new_key_id(), new_token(scope)
        parameters = {
            "id": key_id,
            "tenant": tenant,
            "token_sha256": hash_token(token).hex(),
            "scope": scope,
            "site_id": site_id,
            "expires_days": expires_days,
        }
        await self._engine.execute(self._statements["keys/add"], parameters)
        return key_id, token

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key that there is. Raises EngineError."""
        await self._engine.execute(self._statements["keys/revoke"], {"id": key_id})


def _pages(found: Sequence[Bucket], of: str, known: Digests) -> Iterator[list[int]]:
    """The buckets of sites or keys that are not known as they are, so many at a time as make a page."""
    page: list[int] = []
    rows = 0
    for bucket in found:
        if bucket.of == of and known.of(bucket.bucket) != bucket.digest:
            if page and rows + bucket.rows > PAGE_ROWS:
                yield page
                page, rows = [], 0
            page.append(bucket.bucket)
            rows += bucket.rows
    if page:
        yield page
