"""Sites: what one is, and the rules for its id, owner and hosts."""

import hashlib
import re
import secrets
from collections.abc import Sequence

import msgspec

from app.domain.errors import InvalidValue

MAX_DOMAINS = 100
NAME_MAX_CHARACTERS = 500
HOST_MAX_CHARACTERS = 253  # RFC 1035, without the length bytes

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


class Site(msgspec.Struct, frozen=True):
    """A website whose visitors are counted, owned by one tenant (table sites)."""

    id: str
    tenant: str
    domains: tuple[str, ...]
    name: str

    def allows_origin_host(self, host: str) -> bool:
        """True when `host` is one of the site's domains or its `www.` twin."""
        twin = host[4:] if host.startswith("www.") else "www." + host
        return host in self.domains or twin in self.domains

    def shares_host(self, host: str) -> bool:
        """True when `host` is one of the site's domains, each with and without `www.`."""
        return host.removeprefix("www.") in {domain.removeprefix("www.") for domain in self.domains}


def make_site(tenant: str, domains: Sequence[str], name: str | None = None, site_id: str | None = None) -> Site:
    """A new site by all the rules: its name is the first domain and its id is made up where not given.

    Raises InvalidValue.
    """
    hosts = clean_hosts(domains)
    new_id = clean_site_id(site_id if site_id is not None else new_site_id())
    return Site(new_id, clean_tenant(tenant), hosts, clean_name(name) if name is not None else hosts[0])


def change_site(site: Site, domains: Sequence[str] | None, name: str | None) -> Site:
    """The site with other domains, another name, or both; what is None stays. Raises InvalidValue."""
    return Site(
        site.id,
        site.tenant,
        site.domains if domains is None else clean_hosts(domains),
        site.name if name is None else clean_name(name),
    )


def site_key(site_id: str) -> int:
    """The site as the minute buckets know it: reinterpretAsUInt128(SHA256(site_id)) of ClickHouse (migration 0005)."""
    return int.from_bytes(hashlib.sha256(site_id.encode()).digest()[:16], "little")


def new_site_id() -> str:
    return "site_" + secrets.token_hex(5)


def clean_site_id(text: str) -> str:
    """Return an id that a site may have. Raises InvalidValue."""
    if not _ID.fullmatch(text):
        raise InvalidValue("id", "use 1 to 64 letters, digits, - and _")
    return text


def clean_tenant(text: str) -> str:
    """Return the name of a tenant without surrounding blanks. Raises InvalidValue."""
    if not text.strip():
        raise InvalidValue("tenant", "must not be blank")
    return text.strip()


def clean_name(text: str) -> str:
    """Return a name for people. Raises InvalidValue."""
    if not text.strip() or len(text) > NAME_MAX_CHARACTERS:
        raise InvalidValue("name", f"use 1 to {NAME_MAX_CHARACTERS} characters, not blanks alone")
    return text


def clean_hosts(domains: Sequence[str]) -> tuple[str, ...]:
    """Return the host names of a site, each once. Raises InvalidValue."""
    hosts = tuple(dict.fromkeys(map(clean_host, domains)))
    if not 1 <= len(hosts) <= MAX_DOMAINS:
        raise InvalidValue("domain", f"use 1 to {MAX_DOMAINS} host names")
    return hosts


def clean_host(text: str) -> str:
    """Return a host name in lower case and ASCII; a scheme and a slash at the end are dropped. Raises InvalidValue."""
    host = text.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        host = ""
    if len(host) > HOST_MAX_CHARACTERS or not _HOST.fullmatch(host):
        raise InvalidValue("domain", f"{text!r} is not a host name; use one like example.com, without port and path")
    return host
