"""Who is calling: the API key of the token, and the address behind trusted proxies."""

from typing import Any

from litestar import Request

from app.domain.access import TOKEN_PREFIX, ApiKey
from app.domain.clock import Clock
from app.domain.errors import InvalidToken
from app.domain.visitors import plain_address
from app.store.directory import Directory


def require_key(request: Request[Any, Any, Any], directory: Directory, clock: Clock) -> ApiKey:
    """Return the key of the request's token. Raises InvalidToken, or Unavailable when keys are not known."""
    token = _bearer_token([value for name, value in request.scope["headers"] if name == b"authorization"])
    directory.require_fresh()
    key = directory.key(token)
    if key is None or not key.is_valid(clock()):
        raise InvalidToken
    return key


def optional_key(request: Request[Any, Any, Any], directory: Directory, clock: Clock) -> ApiKey | None:
    """Like require_key, but None when the request carries no token at all."""
    return require_key(request, directory, clock) if header_of(request, b"authorization") is not None else None


def _bearer_token(headers: list[bytes]) -> str:
    if len(headers) != 1:
        raise InvalidToken
    scheme, _, token = headers[0].decode("latin-1").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX) or len(token) > 100 or not token.isascii():
        raise InvalidToken
    return token


def header_of(request: Request[Any, Any, Any], name: bytes) -> str | None:
    """The first header of a lower-case name. Looks at what the server handed over: no dict of all headers is made."""
    for given, value in request.scope["headers"]:
        if given == name:
            return value.decode("latin-1")
    return None


def address_of(request: Request[Any, Any, Any]) -> str:
    """The client's address. Behind a trusted proxy granian has put the forwarded one in its place (app/wiring.py)."""
    return plain_address(request.client.host) if request.client else ""
