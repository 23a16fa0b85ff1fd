"""What answers look like: JSON with the headers of all, and for every error its status and its `{"error": "..."}`."""

import asyncio
import gzip
import logging
import math
import re
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Receive, Scope, Send

from app.domain import errors

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger(__name__)

CORS = {"Access-Control-Allow-Origin": "*"}
EVERY_ANSWER = {**CORS, "Cache-Control": "no-cache"}
STORED = "Pulsehouse-Stored"
"""With a 503 of a call that stores signals: `no`, or `unknown` where sending them again may store them twice."""
RATE_LIMIT = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
EXPOSED = {"Access-Control-Expose-Headers": f"{STORED}, Retry-After, {RATE_LIMIT}"}
VARIES = {"Vary": "Accept-Encoding"}
JSON = "application/json"

COMPRESSED_FROM_BYTES = 1_024
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, 1),
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
}
"""By name, the preferred one first: a third of the time, and three quarters of the length. At level 1 both; higher
ones take many times as long, for a tenth of the length."""
_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")

STATUS: dict[type[errors.Refusal], HTTPStatus] = {
    errors.InvalidToken: HTTPStatus.UNAUTHORIZED,
    errors.SiteIdRequired: HTTPStatus.BAD_REQUEST,
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.InvalidParameter: HTTPStatus.BAD_REQUEST,
    errors.AccessDenied: HTTPStatus.FORBIDDEN,
    errors.OriginNotAllowed: HTTPStatus.FORBIDDEN,
    errors.UnknownSite: HTTPStatus.NOT_FOUND,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.IdTaken: HTTPStatus.CONFLICT,
    errors.BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.RepetitionRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


DEFECT = HTTPStatus.INTERNAL_SERVER_ERROR


class Answer(Response[Any]):
    """Finished bytes with their headers, sent as they are. Litestar's own class takes 12 µs more to put them together.

    `media_type` is None where there is no body.
    """

    __slots__ = ("_body", "_headers", "_status")

    def __init__(
        self,
        body: bytes,
        media_type: str | None,
        headers: Mapping[str, str],
        *,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self._status = status.value
        self._body = body
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        if media_type:
            self._headers += [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Litestar asks for what sends it."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        body = b"" if scope.get("method") == "HEAD" else self._body
        await send({"type": "http.response.body", "body": body, "more_body": False})


class Error(msgspec.Struct, frozen=True):
    """The body of every error."""

    error: Annotated[str, msgspec.Meta(min_length=1, description="What was wrong, for people; branch on the status.")]


def answer_refusal(request: Request[Any, Any, Any], refusal: errors.Refusal) -> Response[bytes]:
    """Answer what the service itself refuses."""
    status, headers = status_of(refusal)
    if isinstance(refusal, errors.Unavailable) and request.route_handler.opt.get("stores"):
        headers[STORED] = "unknown" if isinstance(refusal, errors.CommitUnclear) else "no"
    return answer_error(status, str(refusal), headers)


def status_of(refusal: errors.Refusal) -> tuple[HTTPStatus, dict[str, str]]:
    """The status of a refusal, and the headers that go with it."""
    headers: dict[str, str] = {}
    status = next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)
    if isinstance(refusal, errors.InvalidToken):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(refusal, errors.Unavailable):
        headers["Retry-After"] = str(refusal.retry_after_s)
    elif isinstance(refusal, errors.TooManyRequests):
        headers["Retry-After"] = str(refusal.retry_after_s)
        headers["X-RateLimit-Limit"] = str(refusal.limit)
        headers["X-RateLimit-Remaining"] = str(refusal.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(refusal.reset_at_s))
    return status, headers


def answer_http_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what Litestar refuses: no such path, wrong method, too large a body. Its own words are not shown."""
    try:
        status = HTTPStatus(error.status_code)
    except ValueError:
        status = DEFECT
    if status == DEFECT:
        log.error("unexpected error", exc_info=error)
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return answer_error(status, status.phrase.capitalize(), headers)


def answer_defect(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a defect of ours: logged whole, shown as nothing."""
    log.error("unexpected error", exc_info=error)
    return answer_error(DEFECT, "Internal server error", {})


def answer_json(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response[bytes]:
    """Answer with finished JSON."""
    return Answer(body, JSON, EVERY_ANSWER, status=status)


async def answer_long_json(request: Request[Any, Any, Any], body: bytes) -> Response[bytes]:
    """Answer 200 with finished JSON that may be long: compressed where that saves and the caller takes it."""
    headers = {**EVERY_ANSWER, **VARIES}
    if len(body) >= COMPRESSED_FROM_BYTES and (name := encoding_of(request.headers.get("accept-encoding", ""))):
        # In a thread: a megabyte takes milliseconds, which the other requests would wait for.
        body = await asyncio.to_thread(COMPRESS[name], body)
        headers["Content-Encoding"] = name
    return Answer(body, JSON, headers)


def encoding_of(accept_encoding: str) -> str | None:
    """The one of ours that the header likes best, None where it allows none; `*` stands for gzip, which all know."""
    qualities = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.partition(";")
        _, _, given = parameters.partition("q=")
        qualities[name.strip()] = float(given) if _QUALITY.fullmatch(given := given.strip()) else 1.0
    qualities.setdefault("gzip", qualities.get("*", 0.0))
    best = max(COMPRESS, key=lambda name: qualities.get(name, 0.0))
    return best if qualities.get(best) else None


def answer_error(status: HTTPStatus, message: str, headers: dict[str, str]) -> Response[bytes]:
    return Answer(msgspec.json.encode(Error(message)), JSON, {**EVERY_ANSWER, **EXPOSED, **headers}, status=status)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    errors.Refusal: answer_refusal,
    HTTPException: answer_http_exception,
    Exception: answer_defect,
}
