"""What people look at and what counts them, without a browser: files, sizes, headers, the pixel, the terminal."""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.cells import cell_len
from rich.console import Console

from app.client.ask import NoAnswer, client_options
from app.client.plain_text import clean
from app.client.screen import Screen
from app.client.watched import Watched
from tests.conftest import Api
from tests.kit.service import COMMAND_WITHIN_S
from tests.kit.user_agents import BROWSER

STATIC = Path(__file__).parent.parent / "app" / "static"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8", "no-cache"),
    "/live.css": ("live.css", "text/css; charset=utf-8", "no-cache"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8", "no-cache"),
    **{
        f"/live/{path.name}": (f"live/{path.name}", "text/javascript; charset=utf-8", "no-cache")
        for path in sorted((STATIC / "live").glob("*.js"))
    },
    "/embed": ("embed.html", "text/html; charset=utf-8", "no-cache"),
    "/embed.css": ("embed.css", "text/css; charset=utf-8", "no-cache"),
    "/embed.js": ("embed.js", "text/javascript; charset=utf-8", "no-cache"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml", "no-cache"),
    **{
        f"/js/{name}": (name, "text/javascript; charset=utf-8", "public, max-age=3600")
        for name in ("pulse.js", "pulse-debug.js")
    },
}


def test_the_tracker_is_under_1600_bytes_compressed() -> None:
    assert len(gzip.compress((STATIC / "pulse.js").read_bytes(), 9, mtime=0)) < 1_600


def test_the_live_page_is_under_120_kilobytes_with_all_its_files() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*.*") if not path.name.startswith("pulse")) < 120_000


def test_every_module_of_the_live_page_is_served_preloaded_and_short() -> None:
    page, modules = (STATIC / "index.html").read_text(), {path.name for path in (STATIC / "live").iterdir()}
    assert {name.removeprefix("/live/") for name in FILES if name.startswith("/live/")} == modules
    assert set(re.findall(r'rel="modulepreload" href="live/([^"]+)"', page)) == modules
    for path in (STATIC / "live.js", *(STATIC / "live").iterdir()):
        assert len(path.read_text().splitlines()) < 300, path.name


@pytest.mark.parametrize("name", ["index.html", "embed.html"])
def test_a_page_names_no_other_host_and_has_nothing_inline(name: str) -> None:
    page = (STATIC / name).read_text()
    assert "<style" not in page
    assert "style=" not in page
    assert "://" not in page
    assert page.count("<script") == page.count('<script type="module" src=') == 1


@pytest.mark.any_engine
@pytest.mark.parametrize("path", FILES)
async def test_a_file_is_served_whole_once_and_revalidated_afterwards(api: Api, path: str) -> None:
    name, media_type, cache_control = FILES[path]
    response = await api.get(path)
    assert response.status_code == 200
    assert response.content == (STATIC / name).read_bytes()
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == cache_control
    assert response.headers["x-content-type-options"] == "nosniff"
    etag = response.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await api.get(path, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == cache_control
    assert (await api.get(path, **{"If-None-Match": '"other"'})).status_code == 200
    head = await api.client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    assert head.headers["content-length"] == str(len(response.content))


@pytest.mark.any_engine
@pytest.mark.parametrize(("path", "ancestors"), [("/?siteId=site_a", "'none'"), ("/embed?siteId=site_a", "*")])
async def test_a_page_carries_a_strict_policy_and_one_alone_may_be_framed(api: Api, path: str, ancestors: str) -> None:
    headers = (await api.get(path)).headers
    policy = dict(rule.partition(" ")[::2] for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": ancestors,
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["referrer-policy"] == "no-referrer"


async def test_any_site_may_load_the_tracker_in_any_version(api: Api) -> None:
    plain, versioned = await api.get("/js/pulse.js"), await api.get("/js/pulse.js?v=7")
    assert plain.headers["access-control-allow-origin"] == "*"
    assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (versioned.content, versioned.headers) == (plain.content, plain.headers)


async def pixel(api: Api, query: str, **headers: str) -> Any:
    return await api.get(f"/api/track.gif{query}", **{"User-Agent": BROWSER, **headers})


@pytest.mark.parametrize(
    ("query", "referer", "page"),
    [
        ("&path=/pricing", "https://example.com/other", "/pricing"),
        ("", "https://example.com/docs/start?x=1", "/docs/start"),
        ("&path=", "https://example.com/", "/"),
        ("", "", "/"),
    ],
)
async def test_the_pixel_counts_a_pageview(api: Api, query: str, referer: str, page: str) -> None:
    response = await pixel(api, f"?siteId=site_a{query}", **({"Referer": referer} if referer else {}))
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/gif"
    assert response.headers["cache-control"] == "no-store"
    assert response.content[:10] == b"GIF89a\x01\x00\x01\x00"
    answer = await api.realtime()
    assert (answer["pageviewsLast5Min"], answer["pageBreakdown"]) == (1, {page: 1})


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "headers", "status", "error"),
    [
        ("", {}, 400, "Site ID required"),
        ("?siteId=", {}, 400, "Site ID required"),
        ("?siteId=%20", {}, 400, "Site ID required"),
        ("?siteId=site_a&siteId=site_b", {}, 400, "Site ID required"),
        ("?siteId=nobody", {}, 404, "Invalid site ID"),
        ("?siteId=site_a", {"Origin": "https://elsewhere.example"}, 403, "Origin not allowed"),
        ("?siteId=site_a&path=/a%00b", {}, 400, "path: control characters are not allowed"),
    ],
)
async def test_the_pixel_refuses_what_track_refuses(
    api: Api, query: str, headers: dict[str, str], status: int, error: str
) -> None:
    response = await pixel(api, query, **headers)
    assert (response.status_code, response.json()) == (status, {"error": error})
    assert (await api.realtime())["pageviewsLast5Min"] == 0


async def test_the_pixel_counts_no_bots(api: Api) -> None:
    response = await pixel(api, "?siteId=site_a", **{"User-Agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    assert response.status_code == 200
    assert (await api.realtime())["pageviewsLast5Min"] == 0


ANSWER = {
    "activeVisitors": 2,
    "pageviewsLast5Min": 1,
    "pageBreakdown": {"/a\u202eb": 1, "/pricing": 1},
    "recentPageviews": [{"page": "/pricing", "timestamp": "2024-12-10T14:32:15Z", "country": None}],
    "visitorsPerMinute": [{"minute": f"14:{minute}", "visitors": 1} for minute in range(28, 33)],
    "timestamp": "2024-12-10T14:32:20Z",
}


class StandIn(ThreadingHTTPServer):
    """A service that answers polls as told: first `replies` in turn, then the last of them for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        self.replies: list[tuple[int, Any]] = [(200, ANSWER)]
        self.keys: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.keys.append(self.headers["Authorization"])
                status, body = stand_in.replies.pop(0) if len(stand_in.replies) > 1 else stand_in.replies[0]
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


WATCH = [sys.executable, "-c", "from app.cli.watch import watch; watch()", "site_a"]


def read_line(stand_in: StandIn, end_by: signal.Signals = signal.SIGINT) -> str:
    """The first line that `watch` prints into a pipe, before it is ended."""
    environment = {**os.environ, "PULSEHOUSE_KEY": "ph_live_x"}
    # As a shell starts what it runs in the background.
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *WATCH, "--url", stand_in.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline().decode()
        process.send_signal(end_by)
        assert process.wait(COMMAND_WITHIN_S) == 0
        assert process.stderr.read() == b""
    return line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_prints_plain_lines_when_piped_and_ends_cleanly(stand_in: StandIn, number: signal.Signals) -> None:
    assert read_line(stand_in, number) == "2024-12-10T14:32:20Z  2 visitors  1 pageview  /a\ufffdb 1  /pricing 1\n"
    assert stand_in.keys == ["Bearer ph_live_x"]


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ODD = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x2028, 0x2029, 0xFEFF, 0xE000, 0xE007F, 0x10FFFF]))


def test_no_character_that_steers_ends_hides_or_reverses_is_left() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    cleaned = clean(everything)
    assert len(cleaned) == len(everything)
    assert {unicodedata.category(left) for left in cleaned} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert not set(cleaned) & set(BIDI + ODD)
    assert clean("/café/日本語/שלום/🏠") == "/café/日本語/שלום/🏠"


def test_watch_prints_no_control_or_bidi_character_of_a_page(stand_in: StandIn) -> None:
    page = f"/{BIDI}{ODD}/txt.exe"
    view = {"page": page, "timestamp": "2024-12-10T14:32:15Z", "country": None}
    stand_in.replies = [(200, {**ANSWER, "pageBreakdown": {page: 2}, "recentPageviews": [view]})]
    replaced = "\ufffd" * len(BIDI + ODD)
    shown = f"/{replaced}/txt.exe"
    assert read_line(stand_in) == f"2024-12-10T14:32:20Z  2 visitors  1 pageview  {shown} 2\n"
    screen = drawn(watch(stand_in, f"site{BIDI}{ODD}"), width=300, height=30)
    assert screen.count(shown) == 2
    assert f"site{replaced}" in screen
    assert not set(screen) & set(BIDI + ODD.replace("\n", ""))


def test_watch_needs_neither_the_service_nor_the_driver_of_clickhouse() -> None:
    loaded = (
        "import sys; from app.cli.main import main; main(['watch', '--help'], standalone_mode=False); "
        "print({'litestar', 'granian', 'clickhouse_connect', 'aiohttp', 'chdb'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=COMMAND_WITHIN_S)
    assert done.stdout.endswith("set()\n"), done.stderr


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            {"error": "Invalid or expired token"},
            "Error: Invalid or expired token (401); give another token with --key\n",
        ),
        (403, {"error": "Access denied"}, "Error: Access denied (403); check SITE and --key\n"),
        (503, {"error": "Busy\x1b[2J"}, "Error: Busy\ufffd[2J (503)\n"),
        (200, {"hello": "world"}, "Error: the answer is not that of Pulsehouse; is --url right?\n"),
    ],
)
def test_watch_says_in_one_line_why_it_cannot_start(stand_in: StandIn, status: int, body: Any, words: str) -> None:
    stand_in.replies = [(status, body)]
    done = subprocess.run(
        [*WATCH, "--url", stand_in.url, "--key", "ph_live_x"], capture_output=True, text=True, timeout=COMMAND_WITHIN_S
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == words


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "no connection to http://127.0.0.1:1"),
        ("nonsense", "is --url right"),
        ("http://[", "is --url right"),
    ],
)
def test_watch_names_an_address_that_it_cannot_reach(url: str, words: str) -> None:
    done = subprocess.run(
        [*WATCH, "--url", url, "--key", "x"], capture_output=True, text=True, timeout=COMMAND_WITHIN_S
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def watch(stand_in: StandIn, site: str = "site_a") -> Watched:
    """A site that has been asked for once."""
    watched = Watched(httpx.Client(**client_options(stand_in.url, "ph_live_x")), site)
    watched.ask()
    return watched


def drawn(watched: Watched, width: int, height: int) -> str:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(Screen(watched))
    return console.export_text()


@pytest.mark.parametrize(
    ("columns", "rows", "shown"),
    [
        (120, 40, ["visitors right now", "1 pageview", "14:28", "now", "/a\ufffdb", "/pricing", "5 s", "q to leave"]),
        (76, 20, ["visitors right now", "1 pageview", "/a\ufffdb", "/pricing", "5 s", "q to leave"]),
        (40, 12, ["visitors right now", "/a\ufffdb", "q to leave"]),
        (10, 4, ["█▀▀"]),
        (1, 1, []),
    ],
)
def test_watch_draws_a_screen_of_any_size(stand_in: StandIn, columns: int, rows: int, shown: list[str]) -> None:
    console = Console(width=columns, height=rows, force_terminal=True, record=True, file=io.StringIO())
    with console.screen() as screen:
        screen.update(Screen(watch(stand_in)))
    text = console.export_text()
    assert [cell_len(line) for line in text.split("\n")] == [columns] * rows
    assert [words for words in shown if words not in text] == []
    assert "\u202e" not in text


def test_watch_says_how_old_the_numbers_are_when_the_service_fails(stand_in: StandIn) -> None:
    stand_in.replies = [(200, ANSWER), (503, {"error": "Busy"})]
    watched = watch(stand_in)
    with pytest.raises(NoAnswer):
        watched.ask()
    text = drawn(watched, width=100, height=30)
    assert "stale, 0 s old" in text
    assert "Busy (503); next try in" in text
    assert "right now" not in text
