"""Who a visitor is: the keyed hash, the bot filter and the country of an address."""

import hashlib
import ipaddress
import re
from functools import lru_cache

import crawleruseragents
import iptocc

# Some proxies forward 192.0.2.1:5678 or [2001:db8::1]:5678.
_WITH_PORT = re.compile(r"^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$")

BOT_FILTER_CHARACTERS = 256
"""So much of a User-Agent is looked at: the time that takes grows with its length, and bots name themselves before."""


def visitor_id(salt: bytes, site_id: str, *identity: str) -> int:
    """Return the 64-bit id of a visitor on a site, for one day.

    `identity` is address and User-Agent, or the id that a server-side caller gave. Neither is stored: without the
    day's `salt`, which is deleted, the id cannot be made again from them.
    """
    text = "\0".join((site_id, *identity)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, key=salt, digest_size=8).digest(), "big")


def is_bot(user_agent: str) -> bool:
    """True when the maintained list of crawlers and tools (crawler-user-agents) knows this User-Agent."""
    return _is_crawler(user_agent[:BOT_FILTER_CHARACTERS])


@lru_cache(maxsize=16_384)
def _is_crawler(user_agent: str) -> bool:
    return bool(crawleruseragents.is_crawler(user_agent))


@lru_cache(maxsize=65_536)
def country_of(address: str) -> str:
    """ISO 3166-1 alpha-2 country in which the address block is registered (iptocc, offline); empty where unknown."""
    return iptocc.country_code(address) or ""


@lru_cache(maxsize=16_384)
def plain_address(text: str) -> str:
    """An address in its one canonical spelling, without port, IPv4 unmapped; other text as it is."""
    bare = _WITH_PORT.sub(r"\1\2", text)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
