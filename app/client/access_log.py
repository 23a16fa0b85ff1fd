"""Reads lines of a web server's access log: which are page loads, and what the others are."""

import re
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import msgspec

LINE_MAX_BYTES = 65_536
"""Longer lines are malformed; both servers cut a request line and a header at 8 KiB each."""

# fmt: off
ASSET_EXTENSIONS = frozenset({
    "css", "js", "mjs", "map", "json", "xml", "txt", "rss", "atom",
    "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp", "woff", "woff2", "ttf", "otf", "eot",
    "mp3", "mp4", "ogg", "wav", "webm", "avi", "mov", "swf",
    "pdf", "zip", "gz", "tgz", "bz2", "xz", "7z", "rar", "tar", "jar", "exe", "msi", "dmg", "deb", "rpm",
})
# fmt: on
"""Endings of files that cannot carry a tracker: styles, scripts, data, images, fonts, media, downloads."""

PAGE_STATUSES = frozenset({200, 304})
"""304 too: the visitor came again and the browser showed the page from its cache."""

# Possessive (`*+`), so time is linear in the line's length: what is in a log is chosen by strangers, and the parsers
# found on PyPI go back and forth for minutes on 60 kB of `1.2.3.4 - - [`. Fields after the User-Agent are allowed, as
# in nginx's default `main` format.
_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_COMBINED = re.compile(
    rf"(\S++) \S++ [^\[]*+"
    rf"\[(\d\d)/([A-Z][a-z]{{2}})/(\d{{4}}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\] "
    rf"{_QUOTED} (\d{{3}}) (?:\d+|-) {_QUOTED} {_QUOTED}(?: .*)?",
    re.ASCII | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "v": "\v"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

NotAPage = Literal["malformed", "asset", "method", "status"]


class PageLoad(msgspec.Struct, frozen=True):
    """One page load of the log."""

    time: datetime
    """When the server got the request; aware, whole seconds. Neighbouring lines may be out of order."""
    path: str
    """Without query and fragment, percent-encoded as the browser sent it."""
    referrer: str
    """As the browser sent it; empty where it sent none."""
    ip: str
    user_agent: str
    """Empty where the client sent none."""


def read_line(line: bytes) -> PageLoad | NotAPage:
    """Return the page load that a line of a combined log stands for, or what the line is instead.

    A page load is a GET answered 200 or 304 whose path does not end in one of ASSET_EXTENSIONS. Of the other lines
    the first of these that applies is the reason: `malformed` (not the combined format, no request of the form METHOD
    TARGET PROTOCOL, or a host name in place of the address), `asset`, `method` (not GET), `status` (not 200, 304).
    """
    if len(line) > LINE_MAX_BYTES:
        return "malformed"
    # latin-1 keeps bytes as they are until _unescape has put the escaped ones beside them
    fields = _COMBINED.fullmatch(line.decode("latin-1").rstrip("\r\n"))
    if fields is None:
        return "malformed"
    host, request, status, referrer, user_agent = fields.group(1, 11, 12, 13, 14)
    method, _, rest = _unescape(request).partition(" ")
    target, _, protocol = rest.rpartition(" ")
    time = _read_time(*fields.group(2, 3, 4, 5, 6, 7, 8, 9, 10))
    if not target or not protocol.startswith("HTTP/") or time is None or not _is_address(host):
        return "malformed"
    path = _path(target)
    if _extension(path) in ASSET_EXTENSIONS:
        return "asset"
    if method != "GET":
        return "method"
    if int(status) not in PAGE_STATUSES:
        return "status"
    return PageLoad(time, path, _header(referrer), host, _header(user_agent))


def _unescape(text: str) -> str:
    """Undo the escapes of both servers (`\\"`, `\\xC3`, `\\t`); bytes that are not UTF-8 become U+FFFD."""
    if "\\" in text:
        text = _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else _CONTROL.get(m[2], m[2]), text)
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _header(text: str) -> str:
    """Return a logged header; a server writes `-` for one that was not sent."""
    return "" if text == "-" else _unescape(text)


def _read_time(day: str, month: str, year: str, hour: str, minute: str, second: str, *zone: str) -> datetime | None:
    """Return an instant such as 17/May/2015:10:05:03 +0200; None for a day or month that does not exist."""
    sign, hours, minutes = zone
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return datetime(
            int(year),
            _MONTHS.index(month) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=timezone(-offset if sign == "-" else offset),
        )
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _path(target: str) -> str:
    """Return the path of a request's target: `/a?b` gives `/a`, the proxy form `http://host/a` gives `/a`."""
    if not target.startswith("/"):
        try:
            target = urlsplit(target).path or "/"
        except ValueError:
            return target
    return target.partition("?")[0].partition("#")[0]


def _extension(path: str) -> str:
    """Return the ending of a path's last part, lower case; empty where it has none."""
    return path.rpartition("/")[2].lower().rpartition(".")[2] if "." in path else ""
