"""Rows of sites and api_keys as statements return them, and what a worker remembers of them."""

from datetime import datetime
from typing import Literal

import msgspec

from app.domain.keys import ApiKey
from app.domain.sites import Site
from app.store.engine import Result


class KnownSite(Site, frozen=True, gc=False):
    """A site as a worker remembers it."""

    shard: int
    """Where its rows are, from 0; 0 on one machine."""
    updated_ms: int
    """When its row was written, by the clock of ClickHouse: milliseconds of Unix time."""


class KnownKey(ApiKey, frozen=True, gc=False):
    """A key as a worker remembers it."""

    updated_ms: int


class KeptSite(KnownSite, frozen=True, gc=False, array_like=True):
    """A site as it is stored: what sites/changed and sites/in_buckets return."""

    removed: bool
    cleared: bool
    """Its rows are deleted from the other tables."""


class KeptKey(KnownKey, frozen=True, gc=False, array_like=True):
    """A key as it is stored: what keys/changed and keys/in_buckets return."""


class Bucket(msgspec.Struct, frozen=True):
    """What sites/digests says of the sites or keys of a bucket."""

    of: Literal["sites", "keys"]
    bucket: int
    rows: int
    newest_ms: int
    digest: int


class SiteRow(Site, frozen=True):
    """A site with its times, as sites/list and sites/find return it."""

    created_at: datetime
    removed_at: datetime | None
    cleared_at: datetime | None
    updated_at: datetime
    addition: str = ""
    """The addition that it came with; as found, not as listed."""


class ApiKeyRow(ApiKey, frozen=True):
    """A key with its times, as keys/list and keys/list_of_tenant return it."""

    created_at: datetime
    updated_at: datetime


class NewSite(Site, frozen=True):
    """A site to store."""

    addition: str


class Addition(msgspec.Struct, frozen=True):
    addition: str


ADDITIONS = msgspec.json.Decoder(Result[Addition])
DIGESTS = msgspec.json.Decoder(Result[Bucket])
KEPT_SITES = msgspec.json.Decoder(Result[KeptSite])
KEPT_KEYS = msgspec.json.Decoder(Result[KeptKey])
SITES = msgspec.json.Decoder(Result[SiteRow])
KEYS = msgspec.json.Decoder(Result[ApiKeyRow])
