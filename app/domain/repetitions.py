"""Requests that may be sent again: the rules for an Idempotency-Key, and what it stands for."""

import hashlib
import re
from collections.abc import Iterable

import msgspec

from app.domain.errors import InvalidRequest

HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,64}$"
_KEY = re.compile("[!-~]{1,64}")


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request that is stored once, however often it is sent."""

    id: str
    """SHA-256 of tenant, sites and key, lower-case hex: somebody else's key, or one for other sites, is another."""
    tenant: str
    body_sha256: str
    signals: int
    """How many it brings, those of bots included."""


def keyed_request(key: str, tenant: str, site_ids: Iterable[str], body: bytes, signals: int) -> KeyedRequest:
    """The request of a tenant to some sites under a key. Raises InvalidRequest for what is none."""
    if not _KEY.fullmatch(key):
        raise InvalidRequest(f"{HEADER}: use 1 to 64 printable ASCII characters without blanks")
    parts = msgspec.json.encode([tenant, key, *sorted(site_ids)])
    return KeyedRequest(hashlib.sha256(parts).hexdigest(), tenant, hashlib.sha256(body).hexdigest(), signals)
