"""Sites and API keys in memory: every worker keeps them fresh, so that checking a request costs no query."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from app.domain.access import ApiKey, Site, hash_token
from app.domain.errors import Unavailable
from app.store.engine import Engine
from app.store.statements import Statement

log = logging.getLogger(__name__)

Row = TypeVar("Row")

EVER = datetime.fromtimestamp(0, UTC)

READ_ALL_EVERY_S = 300
"""A refresh reads what is newer than all it knows, and once in this time everything, whatever the clocks have done."""

# Goes on while the machine is suspended, which time.monotonic() does not; elsewhere than on Linux CLOCK_MONOTONIC does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SiteRow(Site, frozen=True):
    """A site with its times, as sites/list returns it."""

    created_at: datetime
    updated_at: datetime


class ApiKeyRow(ApiKey, frozen=True):
    """A key with its times, as keys/list returns it."""

    created_at: datetime
    updated_at: datetime


class Directory:
    """Looks up sites by id and keys by token; unknown ids and tokens cost what known ones cost."""

    def __init__(self, engine: Engine, statements: Mapping[str, Statement], *, max_age_s: float) -> None:
        self._engine = engine
        self._list_sites = statements["sites/list"]
        self._list_keys = statements["keys/list"]
        self._max_age_s = max_age_s
        self._sites: dict[str, Site] = {}
        self._keys: dict[str, ApiKey] = {}
        self.sites_version = 0
        """Grows when a site is new or has changed."""
        # The newest rows known, by the clock of ClickHouse: a worker's own may stand still, step or run ahead.
        self._newest_site = self._newest_key = EVER
        self._refreshed_at_s = self._read_all_at_s = float("-inf")
        self._skipped: set[str] = set()

    def require_fresh(self) -> None:
        """Raise Unavailable when a revocation could have been missed: the last refresh is too long ago."""
        if time.clock_gettime(CLOCK) - self._refreshed_at_s > self._max_age_s:
            raise Unavailable

    def site(self, site_id: str) -> Site | None:
        return self._sites.get(site_id)

    def sites_of(self, key: ApiKey) -> list[Site]:
        """The sites that the key may read, by name."""
        sites = list(self._sites.values())  # a copy: this may run in a thread, beside a refresh
        return sorted((site for site in sites if key.may_read(site)), key=lambda site: (site.name, site.id))

    def key(self, token: str) -> ApiKey | None:
        return self._keys.get(hash_token(token))

    async def refresh(self) -> None:
        """Read what changed. Raises EngineError; what is known stays."""
        started_at_s = time.clock_gettime(CLOCK)
        read_all = started_at_s - self._read_all_at_s >= READ_ALL_EVERY_S
        sites = await list_sites(self._engine, self._list_sites, EVER if read_all else self._newest_site)
        keys = await list_keys(self._engine, self._list_keys, EVER if read_all else self._newest_key)
        for row in sites:
            site = Site(row.id, row.tenant, row.domains, row.name)
            if self._is_readable(site.id) and self._sites.get(site.id) != site:
                self._sites[site.id] = site
                self.sites_version += 1
        for key in keys:
            self._keys[key.token_sha256] = ApiKey(
                key.id, key.tenant, key.token_sha256, key.scope, key.site_id, key.expires_at, key.revoked_at
            )
        self._newest_site = max([self._newest_site, *(row.updated_at for row in sites)])
        self._newest_key = max([self._newest_key, *(key.updated_at for key in keys)])
        self._refreshed_at_s = started_at_s
        if read_all:
            self._read_all_at_s = started_at_s

    def _is_readable(self, site_id: str) -> bool:
        """Whether an id may be asked for: a tab or a line's end, which only SQL can write, would spoil all answers."""
        if site_id.isprintable():
            return True
        if site_id not in self._skipped:
            self._skipped.add(site_id)
            log.warning("site %r is left out: its id has characters that are not printable", site_id)
        return False


async def list_sites(engine: Engine, statement: Statement, since: datetime = EVER) -> list[SiteRow]:
    """The sites written after `since` or lately. Raises EngineError."""
    return _decode(await engine.fetch(statement, {"since": since}), SiteRow)


async def list_keys(engine: Engine, statement: Statement, since: datetime = EVER) -> list[ApiKeyRow]:
    """The keys written after `since` or lately. Raises EngineError."""
    return _decode(await engine.fetch(statement, {"since": since}), ApiKeyRow)


def _decode(lines: bytes, row: type[Row]) -> list[Row]:
    return msgspec.json.Decoder(row).decode_lines(lines)
