"""`pulsehouse watch`: what it shows, what its keys do, and that nothing of it steers the terminal."""

import asyncio
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from app.cli.keyboard import names_of
from app.client.ask import NoAnswer, client_options
from app.client.plain_text import clean
from app.client.screen import Screen
from app.client.sites_screen import SitesScreen
from app.client.views import Views
from app.client.watched import Watched
from tests.kit.service import COMMAND_WITHIN_S, end_with_tests
from tests.kit.waiting import GIVE_UP_S, until

NOW = "2024-12-10T14:32:20Z"
ANSWER: dict[str, Any] = {
    "activeVisitors": 4,
    "pageviewsLast5Min": 1,
    "pageBreakdown": {"/a\u202eb": 3, "/pricing": 1},
    "recentPageviews": [{"page": "/pricing", "timestamp": "2024-12-10T14:32:15Z", "country": None}],
    "visitorsPerMinute": [{"minute": f"14:{minute}", "visitors": 1} for minute in range(28, 33)],
    "timestamp": NOW,
}
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ODD = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x2028, 0x2029, 0xFEFF, 0xE000, 0xE007F, 0x10FFFF]))
STEERING = f"\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\x9d52;c;x\x9c{BIDI}{ODD}"
"""Sets the clipboard (OSC 52), clears the screen, both in C0 and in C1; turns text around; and all else that is odd."""


def history(minutes: int = 30) -> dict[str, Any]:
    """So many minutes up to now, of which the tenth had the most visitors."""
    points = [
        {
            "minute": f"2024-12-10T14:{33 - minutes + number:02}:00Z",
            "activeVisitors": 9 if number == 9 else 2,
            "pageviews": 0,
            "visitors": 1,
        }
        for number in range(minutes)
    ]
    return {"points": points, "peak": points[9], "timestamp": NOW}


def breakdown(by: str, *shares: tuple[str | None, int]) -> dict[str, Any]:
    given = [{"value": value, "visitors": visitors, "pageviews": visitors} for value, visitors in shares]
    active = sum(visitors for _, visitors in shares)
    return {"by": by, "activeVisitors": active, "pageviews": active, "breakdown": given, "timestamp": NOW}


def overview(*sites: tuple[str, int], name: str = "{}") -> dict[str, Any]:
    """Sites with these visitors."""
    given = [
        {
            "siteId": site_id,
            "domain": f"{site_id}.example",
            "name": name.format(site_id),
            "activeVisitors": visitors,
            "pageviewsLast5Min": visitors,
            "visitorsPerMinute": [0, 0, 1, 2, visitors],
        }
        for site_id, visitors in sites
    ]
    active = sum(visitors for _, visitors in sites)
    busy = sum(visitors > 0 for _, visitors in sites)
    total = {"sites": len(sites), "sitesWithVisitors": busy, "activeVisitors": active, "pageviewsLast5Min": active}
    return {"sites": given, "total": total, "timestamp": NOW}


class StandIn(ThreadingHTTPServer):
    """A service that answers as told: each path with its replies in turn, then with the last of them for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        self.replies: dict[str, list[tuple[int, Any]]] = {
            "realtime": [(200, ANSWER)],
            "realtime/history": [(200, history())],
            "realtime/breakdown?by=referrer": [(200, breakdown("referrer", ("news.example", 3), (None, 1)))],
            "realtime/breakdown?by=country": [(200, breakdown("country", ("DE", 3), (None, 1)))],
            "realtime/overview": [(200, overview(("busy", 7), ("calm", 2), ("empty", 0)))],
        }
        self.keys: list[str] = []
        self.asked: list[str] = []
        self.held = threading.Event()
        """Set at the end: a stream without a last message holds on until then."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.keys.append(self.headers["Authorization"])
                url = httpx.URL(self.path)
                by = url.params.get("by")
                name = url.path.removeprefix("/api/") + (f"?by={by}" if by else "")
                stand_in.asked.append(f"{name} {url.params.get('siteId', '')}".rstrip())
                replies = stand_in.replies.get(name, [(404, {"error": "Not found"})])
                status, body = replies.pop(0) if len(replies) > 1 else replies[0]
                self.send_response(status)
                if isinstance(body, bytes):
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()
                    stand_in.held.wait()
                    return
                sent = json.dumps(body).encode()
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
    server.held.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
async def client(stand_in: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(**client_options(stand_in.url, "ph_live_x")) as client:
        yield client


WATCH = [sys.executable, "-c", "from app.cli.watch import watch; watch()"]
ENVIRONMENT = {**os.environ, "PULSEHOUSE_KEY": "ph_live_x", "TERM": "xterm-256color", "NO_COLOR": ""}


def read_line(stand_in: StandIn, *arguments: str, end_by: signal.Signals = signal.SIGINT) -> str:
    """The first line that `watch` prints into a pipe, before it is ended."""
    # As a shell starts what it runs in the background.
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *WATCH, *arguments, "--url", stand_in.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline().decode()
        process.send_signal(end_by)
        assert process.wait(COMMAND_WITHIN_S) == 0
        assert process.stderr.read() == b""
    return line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_prints_plain_lines_when_piped_and_ends_cleanly(stand_in: StandIn, number: signal.Signals) -> None:
    line = "2024-12-10T14:32:20Z  4 visitors  1 pageview  /a\ufffdb 3  /pricing 1\n"
    assert read_line(stand_in, "site_a", end_by=number) == line
    assert (stand_in.asked, stand_in.keys) == (["realtime site_a"], ["Bearer ph_live_x"])


def test_watch_without_a_site_prints_all_of_them(stand_in: StandIn) -> None:
    line = "2024-12-10T14:32:20Z  9 visitors  9 pageviews  2 of 3 sites  busy 7  calm 2\n"
    assert read_line(stand_in) == line


def test_no_character_that_steers_ends_hides_or_reverses_is_left() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    cleaned = clean(everything)
    assert len(cleaned) == len(everything)
    assert {unicodedata.category(left) for left in cleaned} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert not set(cleaned) & set(BIDI + ODD)
    assert clean("/café/日本語/שלום/🏠") == "/café/日本語/שלום/🏠"


def steer(stand_in: StandIn) -> None:
    """Have the service say what steers, wherever it says text."""
    view = {"page": f"/{STEERING}", "timestamp": "2024-12-10T14:32:15Z", "country": None}
    steering = {**ANSWER, "pageBreakdown": {f"/{STEERING}": 4}, "recentPageviews": [view]}
    stand_in.replies |= {
        "realtime": [(200, steering)],
        "realtime/breakdown?by=referrer": [(200, breakdown("referrer", (STEERING, 4)))],
        "realtime/breakdown?by=country": [(200, breakdown("country", (STEERING, 4)))],
        "realtime/overview": [(200, overview(("busy", 7), ("calm", 2), name=STEERING.replace("{", "") + "{}"))],
    }


def test_a_line_has_no_character_that_steers(stand_in: StandIn) -> None:
    steer(stand_in)
    for arguments in (("site_a",), ()):
        line = read_line(stand_in, *arguments)
        assert not set(line.removesuffix("\n")) & set(BIDI + ODD)
        assert "\ufffd]52;c;ZXZpbA==\ufffd" in line


async def test_a_screen_has_no_character_that_steers(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    steer(stand_in)
    watched = Watched(client, f"site{STEERING}")
    await watched.ask()
    await watched.ask_parts()
    views = Views(client)
    await views.open(None)
    for screen, times in ((Screen(watched), 5), (views.screen, 2)):
        shown = drawn(screen, 1200, 40)
        assert not set(shown) & set(BIDI + ODD.replace("\n", ""))
        assert shown.count("\ufffd]52;c;ZXZpbA==\ufffd") >= times
    await views.close()


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
    stand_in.replies["realtime"] = [(status, body)]
    done = subprocess.run(
        [*WATCH, "site_a", "--url", stand_in.url, "--key", "ph_live_x"],
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
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
        [*WATCH, "site_a", "--url", url, "--key", "x"], capture_output=True, text=True, timeout=COMMAND_WITHIN_S
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def drawn(screen: RenderableType, width: int, height: int) -> str:
    console = Console(width=width, height=height, force_terminal=True, record=True, file=io.StringIO())
    with console.screen() as full:
        full.update(screen)
    return console.export_text()


@pytest.fixture
async def watched(client: httpx.AsyncClient) -> Watched:
    """A site that has been asked for once, with all that goes with it."""
    watched = Watched(client, "site_a")
    await watched.ask()
    await watched.ask_parts()
    return watched


@pytest.mark.parametrize(
    ("columns", "rows", "shown"),
    [
        (120, 40, ["visitors right now", "most 9", "Pages", "75%", "news.example", "DE", "Newest pageviews", "5 s"]),
        (104, 25, ["visitors right now", "most 9", "Pages", "direct or not known", "DE", "q leave   Esc all sites"]),
        (76, 20, ["visitors right now", "1 pageview", "most 9", "/a\ufffdb", "Pages  Sources  Countries  Newest"]),
        (40, 12, ["visitors right now", "/a\ufffdb", "q leave"]),
        (10, 4, ["█ █"]),
        (1, 1, []),
    ],
)
async def test_a_site_fills_a_screen_of_any_size(watched: Watched, columns: int, rows: int, shown: list[str]) -> None:
    text = drawn(Screen(watched), columns, rows)
    assert [cell_len(line) for line in text.split("\n")] == [columns] * rows
    assert [words for words in shown if words not in text] == []


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (76, 20), (40, 12), (10, 4), (1, 1)])
async def test_all_sites_fill_a_screen_of_any_size(client: httpx.AsyncClient, columns: int, rows: int) -> None:
    views = Views(client)
    await views.open(None)
    text = drawn(views.screen, columns, rows)
    assert [cell_len(line) for line in text.split("\n")] == [columns] * rows
    if columns >= 40:
        assert "visitors on 2 of 3 sites right now" in text
        assert "› busy" in text
    await views.close()


async def test_before_the_first_answer_nothing_is_said_of_old_numbers(
    stand_in: StandIn, client: httpx.AsyncClient
) -> None:
    watched = Watched(client, "site_a")
    text = drawn(Screen(watched), 100, 20)
    assert "○ asking" in text
    assert "five minutes" not in text
    stand_in.replies["realtime"] = [(503, {"error": "Busy"})]
    with pytest.raises(NoAnswer):
        await watched.ask()
    text = drawn(Screen(watched), 100, 20)
    assert [words for words in ("○ no answer", "not known: no answer yet", "Busy (503)") if words not in text] == []


async def test_the_course_ends_with_the_number_that_is_shown(stand_in: StandIn, watched: Watched) -> None:
    assert watched.course() == [2] * 9 + [9] + [2] * 19 + [4]
    # A minute later the history is not asked for again yet.
    stand_in.replies["realtime"] = [(200, {**ANSWER, "activeVisitors": 5, "timestamp": "2024-12-10T14:33:01Z"})]
    await watched.ask()
    assert watched.course() == [2] * 8 + [9] + [2] * 20 + [5]


async def test_the_screen_says_how_old_the_numbers_are_when_the_service_fails(
    stand_in: StandIn, watched: Watched
) -> None:
    for replies in stand_in.replies.values():
        replies[:] = [(503, {"error": "Busy"})]
    with pytest.raises(NoAnswer):
        await watched.ask()
    await watched.ask_parts()
    text = drawn(Screen(watched), 120, 30)
    assert "stale, 0 s old" in text
    assert "Busy (503); next try in" in text
    assert re.search(r"Sources at \d\d:\d\d:20", text)
    assert "right now" not in text


def event(visitors: int, page: str = "/") -> bytes:
    answer = {**ANSWER, "activeVisitors": visitors, "pageBreakdown": {page: visitors}}
    data = json.dumps({"siteId": "site_a", "answer": answer}, ensure_ascii=False)
    return f"event: realtime\ndata: {data}\n\n".encode()


async def followed(watched: Watched, seen: Callable[[], bool]) -> None:
    """Follow a site until something is seen."""
    following = asyncio.create_task(watched.follow())
    await until(seen)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_site_lives_on_the_stream(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    stand_in.replies["realtime/stream"] = [(200, b":\n\n" + event(5) + event(6, "/a\u2028b\x85c"))]
    watched = Watched(client, "site_a")
    await followed(watched, lambda: watched.answer is not None and watched.answer.active_visitors == 6)
    assert watched.answer
    assert watched.answer.page_breakdown == {"/a\u2028b\x85c": 6}
    assert "realtime site_a" not in stand_in.asked
    assert (watched.trouble, watched.is_known) == ("", True)


@pytest.mark.parametrize(
    "stream",
    [
        (404, {"error": "Not found"}),
        (200, {"not": "events"}),
        (200, b""),  # a proxy that holds it back
        (200, event(5)[:40]),
        (200, b'event: realtime\ndata: {"siteId": 7}\n\n'),
        (200, b'event: error\ndata: {"error": "Busy"}\n\n'),
    ],
)
async def test_a_site_is_polled_where_nothing_is_pushed(
    stand_in: StandIn, client: httpx.AsyncClient, stream: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.client.watched.PATIENCE_S", 0.5)
    stand_in.replies["realtime/stream"] = [stream]
    watched = Watched(client, "site_a")
    await followed(watched, lambda: watched.answer is not None and bool(watched.course()))
    assert watched.answer
    assert watched.answer.active_visitors == 4
    assert stand_in.asked.count("realtime/stream site_a") == 1


async def test_who_may_not_ask_any_more_is_told(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    stand_in.replies["realtime"] = [(200, ANSWER), (401, {"error": "Invalid or expired token"})]
    stand_in.replies["realtime/stream"] = [(401, {"error": "Invalid or expired token"})]
    views = Views(client)
    await views.open("site_a")
    assert isinstance(views.screen, Screen)
    views.screen.watched.next_s = 0.0  # or the test would wait for the next poll

    def is_refused() -> bool:
        try:
            views.require_access()
        except NoAnswer as error:
            return error.status == 401
        return False

    await until(is_refused)
    await views.close()


def place(views: Views) -> str:
    """What is shown: a site, or which of all sites is chosen."""
    if isinstance(views.screen, SitesScreen):
        chosen = views.screen.sites.chosen
        return f"all, {chosen.site_id if chosen else None}"
    return views.screen.watched.site


async def test_arrows_choose_enter_opens_and_escape_returns(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    views = Views(client)
    await views.open(None)
    pressed = []
    for key in ("up", "down", "enter", "esc", "down", "down", "enter", "backspace", "home", "end", "page up", "x"):
        assert await views.press(key)
        pressed.append(place(views))
    assert pressed == [
        *("all, busy", "all, calm", "calm", "all, calm", "all, empty", "all, empty"),
        *("empty", "all, empty", "all, busy", "all, empty", "all, busy", "all, busy"),
    ]
    # It stays chosen while the others move around it.
    stand_in.replies["realtime/overview"] = [(200, overview(("empty", 20), ("calm", 9), ("busy", 7)))]
    assert isinstance(views.screen, SitesScreen)
    await views.screen.sites.ask()
    assert (place(views), views.screen.sites.place) == ("all, busy", 2)
    assert not await views.press("q")
    await views.close()


async def test_a_token_of_one_site_opens_it(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    stand_in.replies["realtime/overview"] = [(200, overview(("only", 1)))]
    views = Views(client)
    await views.open(None)
    assert place(views) == "only"
    await views.close()


async def test_on_a_narrow_screen_the_lists_take_turns(watched: Watched) -> None:
    screen = Screen(watched)
    for shown in ("/pricing", "news.example", "DE", "5 s", "/pricing"):
        assert shown in drawn(screen, 60, 20)
        screen.turn(1)


@pytest.mark.parametrize(
    ("read", "names"),
    [
        (b"q", ["q"]),
        (b"\x1b", ["esc"]),
        (b"\x1b[A\x1bOB\r", ["up", "down", "enter"]),
        (b"\x1b[5~\x1b[6~\t\x7f", ["page up", "page down", "tab", "backspace"]),
        (b"", ["ctrl-d"]),
        (b"jj", ["j", "j"]),
    ],
)
def test_keys_have_names(read: bytes, names: list[str]) -> None:
    assert list(names_of(read)) == names


OWN_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]")
"""What rich itself sends: colours, the cursor, the other screen; no command of an operating system (OSC)."""


def test_in_a_terminal_keys_work_and_what_is_shown_cannot_steer_it(stand_in: StandIn) -> None:
    steer(stand_in)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*WATCH, "--url", stand_in.url],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**ENVIRONMENT, "COLUMNS": "120", "LINES": "40"},
        preexec_fn=end_with_tests,
    )
    os.close(follower)
    sent = b""

    def read_until(words: str) -> None:
        nonlocal sent
        start = len(sent)
        while words.encode() not in sent[start:]:
            sent += os.read(leader, 65_536)

    alarm = threading.Timer(GIVE_UP_S, process.kill)
    alarm.start()
    try:
        read_until("Enter open")
        os.write(leader, b"\x1b[B\r")
        read_until("Newest pageviews")
        os.write(leader, b"\x1b")
        read_until("Enter open")
        os.write(leader, b"q")
        try:
            while more := os.read(leader, 65_536):
                sent += more
        except OSError:  # the other end is closed
            pass
        assert process.wait(COMMAND_WITHIN_S) == 0
    finally:
        alarm.cancel()
        process.kill()
        os.close(leader)
    assert "realtime calm" in stand_in.asked or "realtime/stream calm" in stand_in.asked
    left = OWN_SEQUENCES.sub("", sent.decode())
    assert not set(left) & set(BIDI + ODD)
    assert "\ufffd]52;c;" in left
