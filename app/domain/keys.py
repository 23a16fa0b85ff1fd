"""API keys: what one is, which sites it reaches, and its token."""

import hashlib
import secrets
from datetime import datetime
from typing import Literal, get_args

import msgspec

from app.domain.errors import AccessDenied, InvalidValue
from app.domain.sites import Site

TOKEN_PREFIX = "ph_live_"
PUBLIC_TOKEN_PREFIX = "ph_public_"
"""A token that anybody may see says so itself; what it allows is told by its key's scope alone."""

Scope = Literal["read", "write", "admin", "public"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MAX_EXPIRY_DAYS = 36_500


class ApiKey(msgspec.Struct, frozen=True):
    """An API key as it is kept: never the token, only its SHA-256 (table api_keys)."""

    id: str
    tenant: str
    token_sha256: bytes
    scope: str
    site_id: str
    """The one site the key is bound to; empty for every site of the tenant."""
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return not (self.revoked_at or (self.expires_at and self.expires_at <= now))

    def may_read(self, site: Site) -> bool:
        return self.scope in ("read", "admin") and self._reaches(site)

    def may_write(self, site: Site) -> bool:
        return self.scope in ("write", "admin") and self._reaches(site)

    def may_read_numbers(self, site: Site) -> bool:
        """Whether it may know how many visitors there are; a public key may nothing else."""
        return self.may_read(site) or (self.scope == "public" and self.site_id != "" and self._reaches(site))

    def _reaches(self, site: Site) -> bool:
        return site.tenant == self.tenant and self.site_id in ("", site.id)

    def require_scope(self, scope: str) -> None:
        """Raise AccessDenied unless the key has the scope (`admin` has all)."""
        if self.scope not in (scope, "admin"):
            raise AccessDenied


def require_site_of_public(scope: str, site_id: str) -> None:
    """Raise InvalidValue for a public key of all sites: of what it shows, one site at a time is decided on."""
    if scope == "public" and not site_id:
        raise InvalidValue("site", "a key of scope public is bound to one site; name it")


def clean_expiry(days: int | None) -> int | None:
    """Return in how many days a key expires; None for never. Raises InvalidValue."""
    if days is not None and not 1 <= days <= MAX_EXPIRY_DAYS:
        raise InvalidValue("expires-days", f"use 1 to {MAX_EXPIRY_DAYS}")
    return days


def new_key_id() -> str:
    return "key_" + secrets.token_hex(5)


def new_token(scope: str) -> str:
    """A token with 192 random bits; show it once and keep only `hash_token` of it."""
    return (PUBLIC_TOKEN_PREFIX if scope == "public" else TOKEN_PREFIX) + secrets.token_urlsafe(24)


def hash_token(token: str) -> bytes:
    """SHA-256 of a token. A token is random, so a slow password hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()
