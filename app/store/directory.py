"""Sites and API keys in memory: every worker keeps them fresh, so that checking a request costs no query."""

import math
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from app.domain.access import ApiKey, Site, hash_token
from app.domain.errors import Unavailable
from app.store.engine import Engine
from app.store.statements import Statement

Row = TypeVar("Row")

OVERLAP_S = 60
"""A refresh looks back over the time since the last one and this, so that a row committed late is seen."""

EVER_MS = 1_500_000_000_000
"""Longer than any table exists: 47 years."""


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
        self._refreshed_at_s = float("-inf")

    def require_fresh(self) -> None:
        """Raise Unavailable when a revocation could have been missed: the last refresh is too long ago."""
        if time.monotonic() - self._refreshed_at_s > self._max_age_s:
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
        started_at_s = time.monotonic()
        since_last_s = started_at_s - self._refreshed_at_s + OVERLAP_S
        age_ms = EVER_MS if math.isinf(since_last_s) else math.ceil(since_last_s * 1000)
        for row in await list_sites(self._engine, self._list_sites, age_ms):
            site = Site(row.id, row.tenant, row.domains, row.name)
            if self._sites.get(site.id) != site:
                self._sites[site.id] = site
                self.sites_version += 1
        for key in await list_keys(self._engine, self._list_keys, age_ms):
            self._keys[key.token_sha256] = ApiKey(
                key.id, key.tenant, key.token_sha256, key.scope, key.site_id, key.expires_at, key.revoked_at
            )
        self._refreshed_at_s = started_at_s


async def list_sites(engine: Engine, statement: Statement, age_ms: int = EVER_MS) -> list[SiteRow]:
    """The sites written in the last `age_ms`. Raises EngineError."""
    return _decode(await engine.fetch(statement, {"age_ms": age_ms}), SiteRow)


async def list_keys(engine: Engine, statement: Statement, age_ms: int = EVER_MS) -> list[ApiKeyRow]:
    """The keys written in the last `age_ms`. Raises EngineError."""
    return _decode(await engine.fetch(statement, {"age_ms": age_ms}), ApiKeyRow)


def _decode(lines: bytes, row: type[Row]) -> list[Row]:
    return msgspec.json.Decoder(row).decode_lines(lines)
