"""The sites and keys that a worker knows, in its memory: there may be millions, so each is as small as it can be."""

import logging
import sys
import zlib
from collections import defaultdict

from app.domain.keys import ApiKey
from app.store.tenant_rows import KeptKey, KeptSite, KnownKey, KnownSite

log = logging.getLogger(__name__)

BUCKETS = 256
"""Ids are divided into so many (sql/sites/digests.sql), so that what was missed can be found."""

UINT64 = (1 << 64) - 1


class Digests:
    """Of each bucket a sum over its rows, which tells whether all of them are known as they are."""

    def __init__(self) -> None:
        self._sums = [0] * BUCKETS

    def add(self, row_id: str, updated_ms: int, times: int = 1) -> None:
        """Count a row; with `times` -1 no more."""
        checksum = zlib.crc32(row_id.encode())
        self._sums[checksum % BUCKETS] += times * checksum * updated_ms

    def of(self, bucket: int) -> int:
        return self._sums[bucket] & UINT64


class Directory:
    """Takes rows as they are read, newer ones after older ones."""

    def __init__(self) -> None:
        self.sites: dict[str, KnownSite] = {}
        self.keys: dict[bytes, KnownKey] = {}
        """By the SHA-256 of the token."""
        self.sites_of_tenant: defaultdict[str, dict[str, KnownSite]] = defaultdict(dict)
        self.to_clear: dict[str, int] = {}
        """Removed sites whose rows are to be deleted from the other tables, and when they were updated."""
        self.site_digests, self.key_digests = Digests(), Digests()
        self.sites_version = 0
        """Grows when a site is new or has changed."""
        self._skipped: set[str] = set()

    def reached(self, key: ApiKey) -> list[KnownSite]:
        """What a key reaches, in no order; a copy: its user may be in a thread, beside a refresh."""
        if key.site_id:
            site = self.sites.get(key.site_id)
            return [site] if site and site.tenant == key.tenant else []
        return list(self.sites_of_tenant.get(key.tenant, {}).values())

    def take_key(self, row: KeptKey) -> None:
        before = self.keys.get(row.token_sha256)
        if before:
            self.key_digests.add(before.id, before.updated_ms, -1)
        # Of what many share there is one in memory.
        tenant, scope = sys.intern(row.tenant), sys.intern(row.scope)
        site = self.sites.get(row.site_id)
        token_sha256, site_id = before.token_sha256 if before else row.token_sha256, site.id if site else row.site_id
        self.keys[token_sha256] = KnownKey(
            row.id, tenant, token_sha256, scope, site_id, row.expires_at, row.revoked_at, row.updated_ms
        )
        self.key_digests.add(row.id, row.updated_ms)

    def take_site(self, row: KeptSite) -> None:
        if not row.removed and not self._is_readable(row.id):
            return
        tenant, name = sys.intern(row.tenant), row.domains[0] if row.name in row.domains[:1] else row.name
        site = KnownSite(row.id, tenant, row.domains, name, row.shard, row.updated_ms)
        if self.sites.get(row.id) == site:
            return
        self._forget(row.id)
        if not row.removed:
            self.sites[site.id] = self.sites_of_tenant[tenant][site.id] = site
            self.sites_version += 1
        elif not row.cleared:
            self.to_clear[row.id] = row.updated_ms
        if not row.cleared:
            self.site_digests.add(row.id, row.updated_ms)

    def _forget(self, site_id: str) -> None:
        if site := self.sites.pop(site_id, None):
            self.site_digests.add(site_id, site.updated_ms, -1)
            of_tenant = self.sites_of_tenant[site.tenant]
            del of_tenant[site_id]
            if not of_tenant:
                del self.sites_of_tenant[site.tenant]
            self.sites_version += 1
        elif removed_ms := self.to_clear.pop(site_id, None):
            self.site_digests.add(site_id, removed_ms, -1)

    def _is_readable(self, site_id: str) -> bool:
        """Whether an id may be asked for: a tab or a line's end, which only SQL can write, would spoil all answers."""
        if site_id.isprintable():
            return True
        if site_id not in self._skipped:
            self._skipped.add(site_id)
            log.warning("site %r is left out: its id has characters that are not printable", site_id)
        return False
