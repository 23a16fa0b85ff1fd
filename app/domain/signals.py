"""What /api/track receives: the shapes of its body, and how a signal is made clean."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from app.domain.errors import InvalidSignal, SiteIdRequired, TooLarge
from app.domain.json_bodies import naming_fields

PAGE_MAX_CHARACTERS = 2048
TEXT_MAX_CHARACTERS = 1024
AGE_MAX = timedelta(minutes=5)
CLOCK_SKEW_MAX = timedelta(seconds=5)

OBJECTS_PER_SIGNAL = 16
"""A batch may have so many JSON objects for each signal that it may have. More are not looked into: they need not be
signals, but telling one from the other takes its time."""

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX_CHARACTERS)]
Address = Annotated[str, msgspec.Meta(max_length=45)]


class Utm(msgspec.Struct, frozen=True):
    """Campaign parameters, as the tracker found them in the page's address."""

    source: Text | None = None
    medium: Text | None = None
    campaign: Text | None = None


class Signal(msgspec.Struct, frozen=True, rename="camel"):
    """One signal as anybody may send it. Fields not named here are ignored."""

    type: Literal["pageview", "event", "engagement", "heartbeat"] = "pageview"
    site_id: str | None = None
    path: Annotated[
        str | None,
        msgspec.Meta(
            description="The page, `/` if not given. Query and fragment are cut off, a full URL is reduced to "
            f"its path; then at most {PAGE_MAX_CHARACTERS} characters, without control characters."
        ),
    ] = None
    referrer: Annotated[str | None, msgspec.Meta(description="Only the host name is stored.")] = None
    utm: Utm | None = None
    # Of any kind, as ever: what is not text or a number, where that is meant, is taken for not given.
    action: Annotated[Any, msgspec.Meta(description="What an event says was done; text is stored.")] = None
    category: Annotated[Any, msgspec.Meta(description="Text is stored.")] = None
    label: Annotated[Any, msgspec.Meta(description="Text is stored.")] = None
    value: Annotated[Any, msgspec.Meta(description="A number that an event brings; a number is stored.")] = None


class ServerSignal(Signal, frozen=True, rename="camel"):
    """One signal. The last five fields count with a `write` key only: a server's own address is not the visitor's."""

    ip: Annotated[Address | None, msgspec.Meta(description="The visitor's address.")] = None
    user_agent: Annotated[Text | None, msgspec.Meta(description="The visitor's User-Agent.")] = None
    visitor_id: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None,
        msgspec.Meta(description="The visitor, in place of address and User-Agent."),
    ] = None
    country: Annotated[
        # `$` matches before a newline at the end too; the length does not.
        Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", max_length=2)] | None,
        msgspec.Meta(description="ISO 3166-1 alpha-2; the country of `ip` if not given."),
    ] = None
    timestamp: Annotated[
        Annotated[datetime, msgspec.Meta(tz=True)] | None,
        msgspec.Meta(
            description=f"When it happened; at most {AGE_MAX.seconds // 60} minutes old, "
            f"at most {CLOCK_SKEW_MAX.seconds} seconds in the future."
        ),
    ] = None

    @property
    def names_visitor(self) -> bool:
        return not (self.ip is None and self.user_agent is None and self.visitor_id is None)


class Batch(msgspec.Struct, frozen=True, rename="camel"):
    """Several signals in one request; a signal without `siteId` takes the batch's."""

    events: Annotated[Sequence[Signal], msgspec.Meta(min_length=1)]
    batch: bool = True
    site_id: str | None = None


class ServerBatch(Batch, frozen=True, rename="camel"):
    """Several signals in one request; a signal without `siteId` takes the batch's."""

    events: Annotated[Sequence[ServerSignal], msgspec.Meta(min_length=1)]


class _Form(msgspec.Struct, frozen=True):
    """The two fields that tell a batch from a single signal."""

    batch: bool = False
    events: msgspec.Raw = msgspec.Raw()


_decode_events = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_form = msgspec.json.Decoder(_Form).decode
_decode_signal = {Signal: msgspec.json.Decoder(Signal).decode, ServerSignal: msgspec.json.Decoder(ServerSignal).decode}
_decode_batch = {Signal: msgspec.json.Decoder(Batch).decode, ServerSignal: msgspec.json.Decoder(ServerBatch).decode}


def read_body(body: bytes, max_signals: int, kind: type[Signal]) -> tuple[Sequence[Signal], bool]:
    """Return the signals of a request, each with its `site_id`, and whether they came as a batch.

    `kind` is ServerSignal for callers with a `write` key, else Signal.
    Raises InvalidSignal naming the field, SiteIdRequired, or TooLarge for more than `max_signals`.
    """
    with naming_fields(InvalidSignal):
        body.decode()
        form = _decode_form(body)
        is_batch = form.batch or bool(form.events)
        if is_batch:
            _require_few(form.events, max_signals)
        batch = _decode_batch[kind](body) if is_batch else Batch([_decode_signal[kind](body)])
    signals = [
        signal if signal.site_id is not None else msgspec.structs.replace(signal, site_id=batch.site_id)
        for signal in batch.events
    ]
    if not all(signal.site_id and signal.site_id.strip() for signal in signals):
        raise SiteIdRequired
    return signals, is_batch


def _require_few(events: msgspec.Raw, max_signals: int) -> None:
    """Raise TooLarge for more than `max_signals`, before any is decoded."""
    objects = bytes(events).count(b"{")
    if objects > max_signals * OBJECTS_PER_SIGNAL:
        raise TooLarge(f"events: at most {max_signals * OBJECTS_PER_SIGNAL} JSON objects in one request")
    if objects > max_signals and len(_decode_events(events)) > max_signals:
        raise TooLarge(f"events: at most {max_signals} signals in one request")


def check_timestamp(timestamp: datetime, now: datetime) -> None:
    """Raise InvalidSignal when a caller's timestamp is too old or in the future."""
    if now - timestamp > AGE_MAX:
        raise InvalidSignal(f"timestamp: at most {AGE_MAX.seconds // 60} minutes old")
    if timestamp - now > CLOCK_SKEW_MAX:
        raise InvalidSignal(f"timestamp: at most {CLOCK_SKEW_MAX.seconds} seconds in the future")


def clean_page(path: str | None) -> str:
    """Return the page of a path or full URL: path only, at most PAGE_MAX_CHARACTERS. Raises InvalidSignal."""
    page = (path or "/").partition("#")[0].partition("?")[0]
    if _SCHEME.match(page):
        page = page.partition("://")[2].partition("/")[2]
    if not page.startswith("/"):
        page = "/" + page
    if len(page) > PAGE_MAX_CHARACTERS:
        raise InvalidSignal(f"path: at most {PAGE_MAX_CHARACTERS} characters")
    if _CONTROL.search(page):
        raise InvalidSignal("path: control characters are not allowed")
    return page


def clean_referrer(referrer: str | None) -> str:
    """Return the host name of a referrer, lower case; empty where there is none."""
    if not referrer:
        return ""
    try:
        host = urlsplit(referrer if _SCHEME.match(referrer) else "//" + referrer).hostname or ""
    except ValueError:
        return ""
    return "" if len(host) > 253 or _CONTROL.search(host) else host


def clean_text(value: str | None) -> str:
    """Return a campaign value without surrounding blanks and control characters; empty where not given."""
    return _CONTROL.sub("", value).strip() if value else ""


def clean_label(value: object) -> str:
    """Return what was given where it is text, its first TEXT_MAX_CHARACTERS, cleaned; empty where it is none."""
    return clean_text(value[:TEXT_MAX_CHARACTERS]) if isinstance(value, str) else ""


def number_or_none(value: object) -> float | None:
    """Return what was given where it is a number that a Float64 can hold; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
