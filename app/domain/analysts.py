"""Analysts: users of ClickHouse who see the rows of one tenant."""

import hashlib
import re
import secrets

import msgspec

from app.domain.errors import InvalidValue
from app.domain.sites import clean_tenant

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class Analyst(msgspec.Struct, frozen=True):
    """A new analyst."""

    name: str
    tenant: str
    password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))
    """Shown once; of it only the SHA-256 is given to ClickHouse."""

    @property
    def password_sha256(self) -> str:
        return hashlib.sha256(self.password.encode()).hexdigest()


def make_analyst(name: str, tenant: str) -> Analyst:
    """A new analyst with a password. Raises InvalidValue."""
    return Analyst(clean_analyst_name(name), clean_tenant(tenant))


def clean_analyst_name(text: str) -> str:
    """Return a name that a user of ClickHouse may have without quotes. Raises InvalidValue."""
    if not _NAME.fullmatch(text):
        raise InvalidValue("name", "use 1 to 63 letters, digits and _, no digit first")
    return text
