"""Who is calling, and what for: the key of the token, the site asked for, the address behind trusted proxies."""

from typing import Any

import litestar

from app.domain.errors import AccessDenied, InvalidToken, SiteIdRequired
from app.domain.keys import PUBLIC_TOKEN_PREFIX, TOKEN_PREFIX, ApiKey
from app.domain.rows import Sender
from app.domain.signals import TEXT_MAX_CHARACTERS
from app.domain.sites import Site
from app.domain.visitors import plain_address
from app.http.rate_limit import Allowance
from app.http.turns import Turn, Turns
from app.store.store import Store
from app.store.tenants import Tenants

Request = litestar.Request[Any, Any, Any]

KEY_ID = "pulsehouse_key_id"
"""Where the state of a request has the id of its key, for the access log."""


class Caller:
    """Somebody with a valid key."""

    __slots__ = ("_allowance", "_tenants", "_turns", "key")

    def __init__(self, key: ApiKey, tenants: Tenants, allowance: Allowance, turns: Turns) -> None:
        self.key = key
        self._tenants = tenants
        self._allowance = allowance
        self._turns = turns

    def spend(self, requests: int) -> None:
        """Count so many requests of the key. Raises TooManyRequests when it has had its share of this minute."""
        if requests > 0:
            self._allowance.spend(self.key.id, requests)

    def turn(self) -> Turn:
        """A turn to poll. Raises Unavailable, on entering, when the key has too many polls before it."""
        return Turn(self._turns, self.key.id)

    def readable(self, site_id: str) -> Site:
        """Return a site that the caller may read. Raises AccessDenied, the same where there is none."""
        site = self.readable_or_none(site_id)
        if site is None:
            raise AccessDenied
        return site

    def countable(self, site_id: str) -> Site:
        """Return a site whose numbers the caller may read. Raises AccessDenied, the same where there is none."""
        site = self._tenants.site(site_id)
        if site is None or not self.key.may_read_numbers(site):
            raise AccessDenied
        return site

    def readable_or_none(self, site_id: str) -> Site | None:
        site = self._tenants.site(site_id)
        return site if site and self.key.may_read(site) else None


class Callers:
    """Tells who calls, and counts it against the key's allowance."""

    def __init__(self, store: Store, allowance: Allowance, turns: Turns) -> None:
        self._store = store
        self._allowance = allowance
        self._turns = turns

    def authenticate(self, request: Request) -> Caller:
        """Return the caller by the request's token. Raises InvalidToken, TooManyRequests, or Unavailable when keys
        are not known."""
        return self._caller(request, _bearer_token(headers_of(request, b"authorization")))

    def authenticate_by_address(self, request: Request) -> Caller:
        """The same by the token in the query, as what a page loads has no other place. Raises AccessDenied for one
        that is not public: an address is logged, sent on, and seen by everybody."""
        given = request.query_params.getall("key", [])
        if len(given) != 1 or not _is_token(str(given[0])):
            raise InvalidToken
        caller = self._caller(request, str(given[0]))
        if caller.key.scope != "public":
            raise AccessDenied
        return caller

    def _caller(self, request: Request, token: str) -> Caller:
        tenants = self._store.tenants
        tenants.require_fresh()
        key = tenants.key(token)
        if key is None or not key.is_valid(self._store.clock()):
            raise InvalidToken
        request.scope["state"][KEY_ID] = key.id
        caller = Caller(key, tenants, self._allowance, self._turns)
        caller.spend(1)
        return caller

    def authenticate_or_none(self, request: Request) -> Caller | None:
        """Like authenticate, but None when the request carries no token at all."""
        return self.authenticate(request) if header_of(request, b"authorization") is not None else None


def required_site_id(request: Request) -> str:
    """Return the query's one `siteId`. Raises SiteIdRequired when there is none, a blank one or several."""
    given = request.query_params.getall("siteId", [])
    if len(given) != 1 or not given[0].strip():
        raise SiteIdRequired
    return str(given[0])


def sender_of(request: Request) -> Sender:
    """Whom the request came from. The User-Agent is cut as a server-side `userAgent` is limited."""
    return Sender(address_of(request), (header_of(request, b"user-agent") or "")[:TEXT_MAX_CHARACTERS])


def header_of(request: Request, name: bytes) -> str | None:
    """The first header of a lower-case name. Looks at what the server handed over: no dict of all headers is made."""
    for given, value in request.scope["headers"]:
        if given == name:
            return str(value.decode("latin-1"))
    return None


def headers_of(request: Request, name: bytes) -> list[str]:
    """All headers of a lower-case name."""
    return [value.decode("latin-1") for given, value in request.scope["headers"] if given == name]


def address_of(request: Request) -> str:
    """The client's address. Behind a trusted proxy granian has put the forwarded one in its place (app/wiring.py)."""
    return plain_address(request.client.host) if request.client else ""


def _bearer_token(headers: list[str]) -> str:
    if len(headers) != 1:
        raise InvalidToken
    scheme, _, token = headers[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not _is_token(token):
        raise InvalidToken
    return token


def _is_token(text: str) -> bool:
    return text.startswith((TOKEN_PREFIX, PUBLIC_TOKEN_PREFIX)) and len(text) <= 100 and text.isascii()
