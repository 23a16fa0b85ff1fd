"""How the clients of the service ask it: one set of connection settings, one error, one reading of Retry-After."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypedDict, TypeVar

import httpx
import msgspec

from app.client.plain_text import clean

TIMEOUT = httpx.Timeout(15, connect=5)
"""The service answers or refuses within 10 s; this leaves some for the way."""
# A connection idle for longer might be closed by the other side just as a request goes out, which would be unclear.
LIMITS = httpx.Limits(keepalive_expiry=5)

RETRY_AFTER_MAX_S = 60.0
"""The service asks for no more; what stands before it might."""

_SECONDS = re.compile(r"[0-9]{1,9}")
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

Answer = TypeVar("Answer")


class ClientOptions(TypedDict):
    """What httpx.Client and httpx.AsyncClient are made of."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    limits: httpx.Limits


def client_options(url: str, token: str) -> ClientOptions:
    """Return the settings of a client for the service at `url`, with an API key that `is_token` accepts."""
    return {
        "base_url": url.rstrip("/"),
        "headers": {"Authorization": f"Bearer {token}"},
        "timeout": TIMEOUT,
        "limits": LIMITS,
    }


def is_token(text: str) -> bool:
    """Tell whether a text can travel as a token at all."""
    return text.isascii() and text.isprintable() and bool(text.strip())


class NoAnswer(Exception):
    """The service did not give the answer asked for; `str()` is a few words, safe to print."""

    def __init__(
        self, reason: str, *, status: int | None = None, retry_after_s: float | None = None, may_be_done: bool = False
    ) -> None:
        super().__init__(clean(reason))
        self.status = status
        """HTTP status; None where no answer came."""
        self.retry_after_s = retry_after_s
        """How long the service asks to wait, at most RETRY_AFTER_MAX_S; None where it does not say."""
        self.may_be_done = may_be_done
        """The request may have taken effect all the same: it was sent, and not answered or not confirmed."""


@contextmanager
def asking(url: httpx.URL | str) -> Iterator[None]:
    """Turn what a request to the service at `url` raises into NoAnswer."""
    try:
        yield
    except _NEVER_SENT as error:
        raise NoAnswer(f"no connection to {url}: {error or 'timed out'}") from None
    except (httpx.HTTPError, OSError) as error:
        raise NoAnswer(f"no answer ({type(error).__name__})", may_be_done=True) from None


def read_answer(response: httpx.Response, kind: type[Answer]) -> Answer:
    """Return the answer of a 200 or 201. Raises NoAnswer for any other, and for one that is not of this kind."""
    if response.status_code not in (200, 201):
        raise _refusal(response)
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError:
        raise NoAnswer("the answer is not that of Pulsehouse; is --url right?", status=200) from None


class Tracked(msgspec.Struct):
    """The answer of POST /api/track to a batch with a key; of its signals `count` are stored, those of bots are not."""

    success: Literal[True]
    count: int


class _Refused(msgspec.Struct):
    error: str


def _refusal(response: httpx.Response) -> NoAnswer:
    status = response.status_code
    if response.is_redirect:
        return NoAnswer(f"redirected to {response.headers.get('location')}; use its address as --url", status=status)
    try:
        error = msgspec.json.decode(response.content, type=_Refused).error
    except msgspec.DecodeError:
        error = response.reason_phrase or "refused"
    return NoAnswer(
        f"{error} ({status})",
        status=status,
        retry_after_s=_retry_after_s(response),
        may_be_done=response.headers.get("pulsehouse-stored") == "unknown",
    )


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the header in seconds; None where there is none, or a date, which the service does not send."""
    header = response.headers.get("retry-after", "")
    return min(float(header), RETRY_AFTER_MAX_S) if _SECONDS.fullmatch(header) else None
