"""Rows of sites and api_keys as statements return them, and what a worker remembers of them."""

from datetime import datetime

import msgspec

from app.domain.keys import ApiKey
from app.domain.sites import Site
from app.store.engine import Result


class KnownSite(Site, frozen=True):
    """A site as a worker remembers it."""

    shard: int
    """Where its rows are, from 0; 0 on one machine."""
    digest: int
    """Stands for the row in the sum that tells whether all are known."""


class KnownKey(ApiKey, frozen=True):
    """A key as a worker remembers it."""

    digest: int


class Digests(msgspec.Struct, frozen=True):
    """The sums of the digests of all rows, as sites/digests returns them."""

    sites: int
    keys: int


class SiteRow(Site, frozen=True):
    """A site with its times, as sites/list and sites/find return it; the latter without its shard."""

    created_at: datetime
    removed_at: datetime | None
    cleared_at: datetime | None
    updated_at: datetime
    addition: str = ""
    """The addition that it came with; as found, not as listed."""
    shard: int = 0
    digest: int = 0


class ApiKeyRow(ApiKey, frozen=True):
    """A key with its times, as keys/list returns it."""

    created_at: datetime
    updated_at: datetime
    digest: int = 0


class NewSite(Site, frozen=True):
    """A site to store."""

    addition: str


class Addition(msgspec.Struct, frozen=True):
    addition: str


ADDITIONS = msgspec.json.Decoder(Result[Addition])
DIGESTS = msgspec.json.Decoder(Result[Digests])
SITES = msgspec.json.Decoder(Result[SiteRow])
KEYS = msgspec.json.Decoder(Result[ApiKeyRow])
