"""Lines of a web server's log: which are page loads, and what the others are."""

import gzip
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.client.access_log import LINE_MAX_BYTES, PageLoad, read_line


def line(
    request: str = "GET /pricing HTTP/1.1",
    *,
    host: str = "203.0.113.9",
    user: str = "-",
    when: str = "17/May/2015:10:05:03 +0000",
    status: str = "200",
    referrer: str = "https://example.org/",
    user_agent: str = "Mozilla/5.0",
    more: str = "",
) -> bytes:
    return f'{host} - {user} [{when}] "{request}" {status} 512 "{referrer}" "{user_agent}"{more}'.encode()


def page(path: str, **fields: str) -> PageLoad:
    given = {"referrer": "https://example.org/", "ip": "203.0.113.9", "user_agent": "Mozilla/5.0", **fields}
    return PageLoad(datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC), path, **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(line(), page("/pricing"), id="a page"),
        pytest.param(line() + b"\r", page("/pricing"), id="a line end of Windows"),
        pytest.param(line("GET /a?b=1#c HTTP/2.0"), page("/a"), id="query and fragment are cut"),
        pytest.param(line("GET http://example.com/a?b HTTP/1.1"), page("/a"), id="the target of a proxy"),
        pytest.param(line("GET http://example.com HTTP/1.1"), page("/"), id="a target without path"),
        pytest.param(line("GET //a//b HTTP/1.1"), page("//a//b"), id="doubled slashes are no host"),
        pytest.param(line("GET /a b HTTP/1.1"), page("/a b"), id="a blank in the path"),
        pytest.param(line("GET /v1.2/notes HTTP/1.1"), page("/v1.2/notes"), id="a dot in a folder"),
        pytest.param(line("GET /caf%C3%A9 HTTP/1.1"), page("/caf%C3%A9"), id="percent-encoding stays"),
        pytest.param(line(r"GET /caf\xC3\xA9 HTTP/1.1"), page("/café"), id="escaped bytes"),
        pytest.param(line("GET /café HTTP/1.1"), page("/café"), id="raw bytes"),
        pytest.param(line(r"GET /\xff HTTP/1.1"), page("/\N{REPLACEMENT CHARACTER}"), id="bytes that are not UTF-8"),
        pytest.param(line(user_agent=r"a \"b\" \\c"), page("/pricing", user_agent='a "b" \\c'), id="quotes"),
        pytest.param(line(referrer="-", user_agent="-"), page("/pricing", referrer="", user_agent=""), id="no headers"),
        pytest.param(line(host="2001:db8::1"), page("/pricing", ip="2001:db8::1"), id="IPv6"),
        pytest.param(line(user="Ann Lee"), page("/pricing"), id="a user with a blank"),
        pytest.param(line(when="17/May/2015:12:05:03 +0200"), page("/pricing"), id="another time zone"),
        pytest.param(line(more=' "198.51.100.1"'), page("/pricing"), id="nginx's main format"),
        pytest.param(line(status="304"), page("/pricing"), id="304: shown from the browser's cache"),
        pytest.param(line("GET /style.CSS?v=3 HTTP/1.1"), "asset", id="an asset"),
        pytest.param(line("GET /feed.xml HTTP/1.1"), "asset", id="a feed"),
        pytest.param(line("POST /logo.png HTTP/1.1", status="404"), "asset", id="asset comes before method and status"),
        pytest.param(line("POST /a HTTP/1.1", status="404"), "method", id="method comes before status"),
        pytest.param(line("HEAD / HTTP/1.1"), "method", id="HEAD"),
        pytest.param(line("get / HTTP/1.1"), "method", id="methods are upper case"),
        pytest.param(line(status="404"), "status", id="404"),
        pytest.param(line(status="206"), "status", id="206: a part of a page"),
        pytest.param(line("-", status="408"), "malformed", id="no request came"),
        pytest.param(line(r"\x16\x03\x01", status="400"), "malformed", id="TLS on a plain port"),
        pytest.param(line("GET /"), "malformed", id="no protocol"),
        pytest.param(line(host="crawler.example.net"), "malformed", id="a host name for an address"),
        pytest.param(line(when="31/Feb/2015:10:05:03 +0000"), "malformed", id="a day that does not exist"),
        pytest.param(line(when="17/Mai/2015:10:05:03 +0000"), "malformed", id="a month that does not exist"),
        pytest.param(line(when="17/May/2015:10:05:03 +9900"), "malformed", id="a zone that does not exist"),
        pytest.param(line()[:60], "malformed", id="cut off"),
        pytest.param(b"", "malformed", id="empty"),
        pytest.param(b"\x00\xff\xfe", "malformed", id="binary"),
        pytest.param(line("GET /" + "a" * LINE_MAX_BYTES + " HTTP/1.1"), "malformed", id="too long"),
    ],
)
def test_a_line_is_a_page_load_or_has_a_reason_why_not(given: bytes, expected: str | PageLoad) -> None:
    assert read_line(given) == expected


@pytest.mark.parametrize("piece", ["1.2.3.4 - - [", "- ", '" "', '\\"', "[", "\\"])
def test_a_hostile_line_takes_no_longer_than_an_ordinary_one(piece: str) -> None:
    hostile = (line()[:58] + piece.encode() * LINE_MAX_BYTES)[:LINE_MAX_BYTES]
    began_s = time.process_time()
    assert read_line(hostile) == "malformed"
    assert read_line(hostile[58:]) == "malformed"
    assert time.process_time() - began_s < 2, "what goes back and forth takes minutes"


def test_the_real_log_is_counted_as_by_the_line_of_awk_in_the_documentation(real_log: Path) -> None:
    with gzip.open(real_log) as lines:
        found = [read_line(given) for given in lines]
    counts = Counter("page" if isinstance(one, PageLoad) else one for one in found)
    assert counts == {"page": 2894, "asset": 3894, "method": 22, "status": 190}
