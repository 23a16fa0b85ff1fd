"""GET /api/realtime/stream: what is pushed, when, and how a stream ends."""

import asyncio
import contextlib
import gc
import json
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from app.domain.errors import Unavailable
from app.http import stream as stream_module
from app.settings import Settings
from app.wiring import create_app, create_work
from tests.conftest import Api, Signals
from tests.kit.service import Service, run
from tests.kit.waiting import GIVE_UP_S, until

OWN = Settings(track_max_signals_per_minute=0, commit_interval_ms=0, stream_interval_ms=20, directory_refresh_ms=20)
Open = Callable[..., Any]


class Stream:
    """One request to the application, its parts as they come."""

    def __init__(self, app: Any, query: str, token: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.messages: asyncio.Queue[str | None] = asyncio.Queue()
        """Whole messages, then None at the end."""
        self.taking = asyncio.Event()
        """Cleared, the client does not read."""
        self.taking.set()
        self.unread = 0
        self.ended = False
        self._left = asyncio.Event()
        self._rest = b""
        self._asked = False
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/realtime/stream",
            "raw_path": b"/api/realtime/stream",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {token}".encode()), (b"last-event-id", b"nonsense")],
            "server": ("pulsehouse.test", 80),
            "client": ("203.0.113.7", 50_000),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        more = message.get("more_body", False)
        if message["body"]:  # an end is not held back by what is not read
            self.unread += 1
            try:
                await self.taking.wait()
            finally:
                self.unread -= 1
        *whole, self._rest = (self._rest + message.get("body", b"")).split(b"\n\n")
        for text in whole:
            self.messages.put_nowait(text.decode())
        if not more:
            self.ended = True
            self.messages.put_nowait(None)
            self._left.set()  # a server says so to who goes on receiving

    async def next(self) -> str | None:
        async with asyncio.timeout(GIVE_UP_S):
            return await self.messages.get()

    async def event(self) -> tuple[str, Any]:
        """The next event; comments are passed over."""
        while (message := await self.next()) is not None:
            if not message.startswith(":"):
                kind, data = message.split("\n")
                return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))
        raise AssertionError("the stream has ended")

    async def rest(self) -> list[str]:
        """All that comes until the end."""
        messages = []
        while (message := await self.next()) is not None:
            messages.append(message)
        return messages

    async def leave(self) -> None:
        self._left.set()
        self.taking.set()
        with contextlib.suppress(BaseException):
            await self.task


class Door:
    """A worker's streams, and what opens some."""

    def __init__(self, api: Api, settings: Settings) -> None:
        work = create_work(settings, api.store)
        self.streams = work.streams
        self.app = create_app(settings, api.store, work)
        self.opened: list[Stream] = []
        self._token = api.read

    def open(self, query: str = "siteId=site_a", token: str | None = None) -> Stream:
        self.opened.append(Stream(self.app, query, token or self._token))
        return self.opened[-1]


@pytest.fixture
async def door(api: Api) -> AsyncIterator[Callable[..., Door]]:
    doors: list[Door] = []

    def make(settings: Settings = OWN) -> Door:
        doors.append(Door(api, settings))
        return doors[-1]

    yield make
    for one in doors:
        for stream in one.opened:
            await stream.leave()


def streams_open() -> float:
    return REGISTRY.get_sample_value("pulsehouse_streams_open") or 0


async def test_each_site_is_sent_at_once_and_then_when_it_has_changed(
    api: Api, signals: Signals, door: Callable[..., Door]
) -> None:
    await signals((1, "ann", "/"))
    stream = door().open("siteId=site_a&siteId=site_b&siteId=site_a")
    first = {event["siteId"]: event["answer"] for _, event in [await stream.event(), await stream.event()]}
    assert first == {"site_a": await api.realtime("site_a"), "site_b": await api.realtime("site_b")}
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert {
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "access-control-allow-origin": "*",
    }.items() <= stream.headers.items()
    assert "content-encoding" not in stream.headers

    api.clock.advance(1)  # another timestamp alone is nothing new
    await signals((0, "bob", "/b"), site_id="site_b")
    # An INSERT commits to one table after the other, so an event may come between.
    while (told := await stream.event())[1]["answer"] != await api.realtime("site_b"):
        assert told[1]["siteId"] == "site_b"
    kind, event = told
    assert (kind, event) == ("realtime", {"siteId": "site_b", "answer": await api.realtime("site_b")})
    assert event["answer"]["pageBreakdown"] == {"/b": 1}
    assert stream.messages.empty()


async def test_a_stream_ends_with_retry_after_its_lifetime(door: Callable[..., Door]) -> None:
    before = streams_open()
    stream = door(Settings(stream_interval_ms=10, stream_lifetime_ms=1)).open()
    event, retry = await stream.rest()
    assert event.startswith("event: realtime\n")
    (wait_ms,) = re.findall(r"^retry: (\d+)$", retry)
    assert 500 <= int(wait_ms) <= 3_000
    assert streams_open() == before


async def test_a_stop_ends_all_streams_at_once_and_lets_none_begin(api: Api, door: Callable[..., Door]) -> None:
    worker = door(Settings(stream_interval_ms=60_000))
    streams = [worker.open() for _ in range(20)]
    for stream in streams:
        await stream.event()
    worker.streams.stop()
    for stream in streams:
        (retry,) = await stream.rest()
        assert retry.startswith("retry: ")
    late = worker.open()
    await late.task
    assert late.status == 503


async def test_a_stop_does_not_wait_for_a_statement(
    api: Api, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    async def never(*_: Any) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(api.store.reads, "of", never)
    worker = door()
    stream = worker.open()
    await asked.wait()
    worker.streams.stop()
    (retry,) = await stream.rest()
    assert retry.startswith("retry: ")
    await stream.leave()
    gc.collect()
    assert caplog.text == "", "what was asked for in vain is no error"


async def test_a_stop_does_not_wait_for_a_client_that_does_not_read(
    signals: Signals, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "LAST_WORD_S", 0.01)
    worker = door()
    stream = worker.open()
    await stream.event()
    stream.taking.clear()
    await signals((0, "ann", "/"))
    await until(lambda: stream.unread == 1)
    worker.streams.stop()
    await until(lambda: stream.ended)
    assert await stream.rest() == [], "the event that was not taken is not kept"


async def test_a_defect_ends_its_stream_and_is_logged(
    api: Api, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = streams_open()

    async def fail(*_: Any) -> bytes:
        raise RuntimeError("a defect")

    monkeypatch.setattr(api.store.reads, "of", fail)
    stream = door().open()
    assert await stream.rest() == []
    await stream.task
    assert "RuntimeError: a defect" in caplog.text
    assert streams_open() == before


@pytest.mark.parametrize(("change", "error"), [("revoke", "Invalid or expired token"), ("remove", "Access denied")])
async def test_a_stream_ends_when_its_key_is_revoked_or_its_site_removed(
    api: Api, door: Callable[..., Door], change: str, error: str
) -> None:
    key_id, token = await api.add_key("read")
    stream = door().open(token=token)
    await stream.event()
    if change == "revoke":
        await api.store.administration.revoke_key("acme", key_id)
    else:
        await api.store.administration.remove_site("acme", "site_a")
    assert await stream.event() == ("error", {"error": error})
    assert await stream.rest() == []


async def test_a_key_that_expires_ends_its_stream(api: Api, door: Callable[..., Door]) -> None:
    _, token = await api.add_key("read", expires_days=1)
    stream = door().open(token=token)
    await stream.event()
    api.clock.advance(86_400 + 60)
    assert (await stream.event())[1] == {"error": "Invalid or expired token"}


async def test_not_known_is_one_error_and_then_the_answer_again(
    api: Api, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = door().open("siteId=site_a&siteId=site_b")
    first = [await stream.event(), await stream.event()]
    asked: list[str] = []
    real = api.store.reads.of

    async def fail(_tenant: str, site_id: str) -> bytes:
        asked.append(site_id)
        raise Unavailable

    monkeypatch.setattr(api.store.reads, "of", fail)
    assert await stream.event() == ("error", {"error": "Temporarily unavailable, try again"})
    asked.clear()
    await until(lambda: len(asked) >= 6)
    monkeypatch.setattr(api.store.reads, "of", real)
    assert [await stream.event(), await stream.event()] == first


async def test_a_worker_that_knows_nothing_of_keys_tells_no_numbers(
    api: Api, door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = door().open()
    await stream.event()

    def stale() -> None:
        raise Unavailable

    monkeypatch.setattr(api.store.tenants, "require_fresh", stale)
    assert await stream.event() == ("error", {"error": "Temporarily unavailable, try again"})


async def test_a_silent_stream_sends_comments(door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "HEARTBEAT_S", 0.03)
    stream = door().open()
    await stream.event()
    assert [await stream.next(), await stream.next()] == [":", ":"]


async def test_a_reader_that_does_not_read_holds_one_message_and_then_gets_the_latest(
    signals: Signals, door: Callable[..., Door]
) -> None:
    worker = door()
    slow, other = worker.open(), worker.open()
    await slow.event()
    await other.event()
    slow.taking.clear()
    for number in range(4):
        await signals((0, f"visitor {number}", "/"))
        while (await other.event())[1]["answer"]["activeVisitors"] <= number:
            pass
    await until(lambda: slow.unread == 1)
    slow.taking.set()
    # The one that was held, of whatever was committed by then; and none of those between.
    assert (await slow.event())[1]["answer"]["activeVisitors"] < 4
    assert (await slow.event())[1]["answer"]["activeVisitors"] == 4


async def test_a_client_that_leaves_is_asked_for_no_more(api: Api, door: Callable[..., Door]) -> None:
    before = streams_open()
    worker = door(Settings(stream_interval_ms=10, stream_max_sites=1))
    stream = worker.open()
    await stream.event()
    assert streams_open() == before + 1
    await stream.leave()
    await until(lambda: streams_open() == before)
    again = worker.open()
    await again.event()


async def test_streams_are_bounded_by_their_sites(door: Callable[..., Door]) -> None:
    worker = door(Settings(stream_interval_ms=10, stream_max_sites=2))
    await worker.open("siteId=site_a&siteId=site_b").event()
    over = worker.open()
    await over.task
    assert (over.status, over.headers["retry-after"]) == (503, "1")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("", 400, "Site ID required"),
        ("?siteId=", 400, "Site ID required"),
        ("?siteId=site_a&siteId=%20", 400, "Site ID required"),
        ("?" + "&".join(["siteId=site_a"] * 101), 400, "siteId: at most 100 sites in one stream"),
        ("?siteId=site_a&siteId=unknown", 403, "Access denied"),
        ("?siteId=site_a&siteId=site_rival", 403, "Access denied"),
    ],
)
async def test_a_stream_that_is_refused_is_an_error_like_any(api: Api, query: str, status: int, error: str) -> None:
    await api.add_site("site_rival", tenant="rival")
    response = await api.get(f"/api/realtime/stream{query}", api.read)
    assert (response.status_code, response.json()) == (status, {"error": error})
    assert (await api.get(f"/api/realtime/stream{query}", "ph_live_x")).status_code == 401
    assert (await api.get("/api/realtime/stream?siteId=site_a", api.write)).status_code == 403


class Reader(threading.Thread):
    """A dashboard: reads a stream until it ends, and notes what came."""

    def __init__(self, service: Service, token: str) -> None:
        super().__init__()
        self.first = threading.Event()
        self.lines: list[str] = []
        self._url, self._token = service.url, token
        self.start()

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._url}/api/realtime/stream?siteId=site_a"
        with httpx.stream("GET", url, headers=headers, timeout=GIVE_UP_S) as response:
            for line in response.iter_lines():
                self.lines.append(line)
                self.first.set()


def stop_with_streams_open(*arguments: str, **settings: str) -> None:
    run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", "site_a", **settings)
    key = json.loads(run("key", "create", "--tenant", "acme", "--scope", "read", "--json", **settings).stdout)
    with Service(*arguments, **settings) as service:
        readers = [Reader(service, key["token"]) for _ in range(10)]
        assert all(reader.first.wait(GIVE_UP_S) for reader in readers)
        code, log = service.stop(signal.SIGTERM)  # fails when it takes longer than documented
        for reader in readers:
            reader.join(GIVE_UP_S)
    assert (code, "Traceback" in log) == (0, False), log
    assert [[line for line in reader.lines if line][-1][:7] for reader in readers] == ["retry: "] * 10


def test_sigterm_ends_the_streams_of_the_embedded_service(tmp_path: Path) -> None:
    stop_with_streams_open(data_dir=str(tmp_path / "data"), stream_interval_ms="60000")


@pytest.mark.deep
def test_sigterm_ends_the_streams_of_several_workers(server_database: str) -> None:
    stop_with_streams_open("--workers", "2", clickhouse_url=server_database, stream_interval_ms="60000")
