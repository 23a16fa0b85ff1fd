"""Group commit: what happens to signals when INSERTs are slow, fail, or leave their outcome unclear."""

import asyncio
import tracemalloc
import zlib
from typing import Any

import httpx
import msgspec
import pytest

from app.settings import Settings
from app.store.engine import EngineError
from app.store.inserts import ENOUGH_SIGNALS
from app.store.statements import Statement
from tests.conftest import Api, MakeApi
from tests.kit.waiting import until

REFUSED = {"error": "Temporarily unavailable, try again"}
UNCLEAR = {"error": "Not confirmed in time; the signals may still be stored"}
AT_ONCE = Settings(track_max_signals_per_minute=0, commit_interval_ms=0)
QUICK = msgspec.structs.replace(AT_ONCE, commit_timeout_ms=600)
AN_HOUR_APART = msgspec.structs.replace(AT_ONCE, commit_interval_ms=3_600_000)
"""INSERTs may begin that long apart."""


@pytest.fixture
def never_alone(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """After the first INSERT, signals wait for more than they are willing to: until there are enough, or it closes."""
    monkeypatch.setattr("app.store.inserts.APART", 1e9)
    return AN_HOUR_APART


class Line:
    """Stands between the service and its real engine, and breaks INSERTs as a test says."""

    def __init__(self, api: Api) -> None:
        self.real = api.store.engine.execute
        self.tokens: list[str] = []
        self.sizes: list[int] = []
        self.timeouts_s: list[float] = []
        self.before: list[BaseException | None] = []  # raised instead of the next INSERTs
        self.after: list[BaseException | None] = []  # raised when the next INSERTs have committed
        self.needs_s = 0.0  # what an INSERT takes on a clock that only its timeout looks at
        self.hold = asyncio.Event()
        self.hold.set()
        api.store.engine.execute = self.execute  # type: ignore[method-assign]

    async def execute(
        self, statement: Statement, parameters: Any = None, rows: bytes | None = None, **options: Any
    ) -> None:
        if statement.name != "track/insert_signals":
            await self.real(statement, parameters, rows)
            return
        self.tokens.append(parameters["token"])
        self.sizes.append((rows or b"").count(b"\n"))
        self.timeouts_s.append(options.get("timeout_s", 0))
        await self.hold.wait()
        if self.before and (error := self.before.pop(0)):
            raise error
        await self.real(statement, parameters, rows, **options)
        if self.after and (error := self.after.pop(0)):
            raise error
        if self.needs_s > self.timeouts_s[-1]:
            raise EngineError(None, timed_out=True)


async def count(api: Api) -> tuple[str, str]:
    """Stored signals in the table and pageviews in the rollup."""
    return (
        await api.select("SELECT count() FROM signals"),
        await api.select("SELECT sum(pageviews) FROM visitor_minutes"),
    )


async def start(make_api: MakeApi, settings: Settings = AT_ONCE) -> tuple[Api, Line]:
    api = await make_api(settings)
    await api.add_site("site_a")
    return api, Line(api)


def send(api: Api, signals: int = 1, **fields: Any) -> "asyncio.Task[httpx.Response]":
    """Send a request of so many signals, and go on."""
    body = {"siteId": "site_a", **fields}
    if signals > 1:
        body |= {"batch": True, "events": [{"path": "/"}] * signals}
    return asyncio.create_task(api.track(body))


async def test_signals_that_arrive_during_an_insert_travel_together_in_the_next(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.hold.clear()
    first = send(api)
    await until(lambda: line.sizes == [1])
    others = [send(api) for _ in range(5)]
    await until(lambda: api.store.inserts.queued == 6)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(first, *others)} == {200}
    assert line.sizes == [1, 5]
    assert await count(api) == ("6", "6")


async def test_signals_that_keep_coming_share_an_insert_though_none_runs(
    make_api: MakeApi, never_alone: Settings
) -> None:
    api, line = await start(make_api, never_alone)
    assert (await send(api)).status_code == 200
    others = []
    for queued in (1, 2, 3):
        others.append(send(api))
        await until(lambda queued=queued: api.store.inserts.queued == queued)  # type: ignore[misc]
    assert line.sizes == [1]
    await api.store.stop(10)
    assert {response.status_code for response in await asyncio.gather(*others)} == {200}
    assert line.sizes == [1, 3]


async def test_after_a_quick_insert_the_next_does_not_wait_long(make_api: MakeApi) -> None:
    api, line = await start(make_api, AN_HOUR_APART)
    assert [(await send(api)).status_code for _ in range(3)] == [200, 200, 200]
    assert line.sizes == [1, 1, 1]


async def test_signals_never_wait_longer_than_the_interval(make_api: MakeApi, never_alone: Settings) -> None:
    api, line = await start(make_api, msgspec.structs.replace(never_alone, commit_interval_ms=1))
    assert [(await send(api)).status_code for _ in range(3)] == [200, 200, 200]
    assert line.sizes == [1, 1, 1]


@pytest.mark.parametrize("of_one_request", [True, False])
async def test_enough_signals_do_not_wait_for_the_interval(
    make_api: MakeApi, never_alone: Settings, of_one_request: bool
) -> None:
    api, line = await start(make_api, never_alone)
    assert (await send(api)).status_code == 200
    requests = [1, ENOUGH_SIGNALS] if of_one_request else [ENOUGH_SIGNALS // 2] * 2
    answers = await asyncio.gather(*(send(api, size) for size in requests))
    assert {response.status_code for response in answers} == {200}
    assert line.sizes == [1, sum(requests)]


async def test_enough_signals_that_came_during_an_insert_do_not_wait_for_the_interval(
    make_api: MakeApi, never_alone: Settings
) -> None:
    api, line = await start(make_api, never_alone)
    line.hold.clear()
    first = send(api)
    await until(lambda: line.sizes == [1])
    second = send(api, ENOUGH_SIGNALS)
    await until(lambda: api.store.inserts.queued == 1 + ENOUGH_SIGNALS)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(first, second)} == {200}
    assert line.sizes == [1, ENOUGH_SIGNALS]


async def test_closing_does_not_wait_for_the_interval(make_api: MakeApi, never_alone: Settings) -> None:
    api, line = await start(make_api, never_alone)
    assert (await send(api)).status_code == 200
    waiting = send(api)
    await until(lambda: api.store.inserts.queued == 1)
    await api.store.stop(10)
    assert (await waiting).status_code == 200
    assert line.sizes == [1, 1]


async def test_a_full_queue_is_503_at_once_and_stores_nothing_of_the_refused(make_api: MakeApi) -> None:
    api, line = await start(make_api, msgspec.structs.replace(AT_ONCE, queue_max_signals=10))
    line.hold.clear()
    waiting = [send(api) for _ in range(10)]
    await until(lambda: api.store.inserts.queued == 10)
    refused = await api.track({"siteId": "site_a"})
    assert not any(task.done() for task in waiting)
    assert (refused.status_code, refused.json()) == (503, REFUSED)
    assert refused.headers["pulsehouse-stored"] == "no"
    assert refused.headers["retry-after"] == "1"
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert await count(api) == ("10", "10")


async def test_a_queue_full_of_bytes_is_503_at_once_until_they_are_committed(make_api: MakeApi) -> None:
    api, line = await start(make_api, msgspec.structs.replace(AT_ONCE, queue_max_bytes=20_000))
    large = {"siteId": "site_a", "batch": True, "events": [{"path": "/" + "x" * 2_000}] * 4}  # 8,000 bytes and more
    line.hold.clear()
    waiting = [asyncio.create_task(api.track(large)) for _ in range(2)]
    await until(lambda: api.store.inserts.queued == 8)
    refused = await api.track(large)
    waiting.append(send(api))
    await until(lambda: api.store.inserts.queued == 9)  # what fits is taken
    assert not any(task.done() for task in waiting)
    assert (refused.status_code, refused.json()) == (503, REFUSED)
    assert refused.headers["pulsehouse-stored"] == "no"
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert (await api.track(large)).status_code == 200
    assert await count(api) == ("13", "13")


async def test_one_insert_takes_so_many_bytes(make_api: MakeApi) -> None:
    api, line = await start(make_api, msgspec.structs.replace(AT_ONCE, commit_max_bytes=20_000))
    large = {"siteId": "site_a", "batch": True, "events": [{"path": "/" + "x" * 2_000}] * 4}
    line.hold.clear()
    waiting = [send(api)]
    await until(lambda: line.sizes == [1])
    waiting += [asyncio.create_task(api.track(large)) for _ in range(5)]
    await until(lambda: api.store.inserts.queued == 21)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert line.sizes == [1, 8, 8, 4]


async def test_of_a_request_that_waits_only_its_rows_are_kept(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    # Of a referrer the host alone is stored.
    body = msgspec.json.encode({"siteId": "site_a", "referrer": "https://example.org/" + "x" * 500_000})
    line.hold.clear()
    first = send(api)
    await until(lambda: line.sizes == [1])
    tracemalloc.start()
    waiting = [asyncio.create_task(api.track(body)) for _ in range(20)]
    await until(lambda: api.store.inserts.queued == 21)
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(first, *waiting)} == {200}
    assert kept_bytes < 20 * 100_000


async def test_an_insert_whose_answer_is_lost_is_repeated_and_stored_once(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.after = [EngineError(None), EngineError(None)]
    response = await api.track({"siteId": "site_a", "batch": True, "events": [{"path": "/a"}, {"path": "/b"}]})
    assert response.status_code == 200
    assert len(line.tokens) == 3
    assert len(set(line.tokens)) == 1
    assert await count(api) == ("2", "2")
    assert (await api.select("SELECT sum(length(finalizeAggregation(newest_state))) FROM recent_pageviews")) == "2"


async def test_two_equal_signals_are_two(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    for _ in range(2):
        await api.track({"siteId": "site_a"})
    assert len(set(line.tokens)) == 2
    assert await count(api) == ("2", "2")


async def test_without_an_answer_in_time_it_is_503_and_the_unclear_insert_is_still_settled_once(
    make_api: MakeApi,
) -> None:
    api, line = await start(make_api, QUICK)
    line.after = [EngineError(None)] * 5
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, UNCLEAR)
    assert response.headers["retry-after"] == "1"
    await until(lambda: api.store.inserts.queued == 0)
    assert len(set(line.tokens)) == 1
    assert await count(api) == ("1", "1")


async def later(api: Api) -> None:
    """Send signals of page /later until one is accepted: a slow machine may need longer than QUICK."""
    while (await api.track({"siteId": "site_a", "path": "/later"})).status_code != 200:
        pass


async def test_what_was_certainly_not_written_may_be_sent_again_and_is_never_stored(make_api: MakeApi) -> None:
    api, line = await start(make_api, QUICK)
    line.before = [EngineError(None, written=False)] * 20
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, REFUSED)
    assert api.store.inserts.queued == 0
    line.before = []
    await later(api)
    assert await api.select("SELECT groupUniqArray(page) FROM signals") == "['/later']"


async def test_what_is_refused_when_its_caller_has_left_is_not_counted_as_queued_for_ever(make_api: MakeApi) -> None:
    api, line = await start(make_api, QUICK)
    line.hold.clear()
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, UNCLEAR)
    line.before = [EngineError(None, written=False)]
    line.hold.set()
    await until(lambda: api.store.inserts.queued == 0)
    await later(api)
    assert await api.select("SELECT groupUniqArray(page) FROM signals") == "['/later']"


async def test_what_was_certainly_not_written_is_stored_when_it_can_be(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.before = [EngineError(None, written=False)] * 2
    line.hold.clear()
    waiting = [send(api)]
    await until(lambda: line.sizes == [1])
    waiting += [send(api), send(api)]
    await until(lambda: api.store.inserts.queued == 3)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert line.sizes == [1, 3, 3]
    assert await count(api) == ("3", "3")


async def test_signals_whose_time_is_up_in_the_queue_are_not_stored_later(make_api: MakeApi) -> None:
    api, line = await start(make_api, QUICK)
    line.hold.clear()
    late = [send(api, path="/0")]
    await until(lambda: line.sizes == [1])
    late += [send(api, path=f"/{n}") for n in (1, 2)]
    answers = await asyncio.gather(*late)
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (503, UNCLEAR),
        (503, REFUSED),
        (503, REFUSED),
    ]
    assert api.store.inserts.queued == 1  # what is not in an INSERT is let go of at once
    line.hold.set()
    await later(api)
    # The first INSERT was under way when its caller left, so it may commit; what still waited must not.
    assert await api.select("SELECT arraySort(groupUniqArray(page)) FROM signals") == "['/0','/later']"


async def test_an_insert_that_is_slow_is_given_more_time_until_it_is_acknowledged(make_api: MakeApi) -> None:
    api, line = await start(make_api, msgspec.structs.replace(AT_ONCE, insert_timeout_ms=5_000))
    line.needs_s = 30
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    assert line.timeouts_s == [5, 10, 20, 40]
    assert len(set(line.tokens)) == 1
    assert await count(api) == ("1", "1")


async def test_the_time_that_an_insert_is_given_has_a_bound(make_api: MakeApi) -> None:
    settings = msgspec.structs.replace(QUICK, insert_timeout_ms=5_000, insert_timeout_max_ms=8_000)
    api, line = await start(make_api, settings)
    line.needs_s = 30
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, UNCLEAR)
    await until(lambda: len(line.timeouts_s) >= 3)
    line.needs_s = 0
    assert line.timeouts_s[:3] == [5, 8, 8]


@pytest.mark.parametrize("error", [zlib.error("invalid header"), KeyError("summary"), RuntimeError("closed")])
async def test_an_unexpected_error_is_unclear_and_logged_and_signals_go_on(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    api, line = await start(make_api)
    line.after = [error]
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    assert [line.tokens[0] == token for token in line.tokens] == [True, True, False]
    assert type(error).__name__ in caplog.text
    assert await count(api) == ("2", "2")
    assert (await api.get("/ready")).status_code == 200


async def test_when_the_writer_has_ended_it_is_not_ready_and_takes_nothing(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    api, line = await start(make_api, QUICK)
    line.before = [asyncio.CancelledError()]
    assert (await api.track({"siteId": "site_a"})).status_code == 503
    assert api.store.ended.is_set()
    for response in (await api.get("/ready"), await api.track({"siteId": "site_a"})):
        assert (response.status_code, response.json()) == (503, REFUSED)
    assert (await api.get("/health")).status_code == 200
    assert "the task 'group commit' has ended" in caplog.text


@pytest.mark.parametrize("code", [27, 164, 241, 243, 252])
async def test_what_clickhouse_refuses_is_503_without_its_words(make_api: MakeApi, code: int) -> None:
    api, line = await start(make_api, QUICK)
    written = None if code > 200 else False
    line.before = [EngineError(code, written=written, detail="DB::Exception: secret")] * 20
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, UNCLEAR if written is None else REFUSED)
    assert response.headers["pulsehouse-stored"] == ("unknown" if written is None else "no")
    assert "Pulsehouse-Stored" in response.headers["access-control-expose-headers"]
    assert "pulsehouse-stored" not in (await api.get("/api/sites", "ph_live_x")).headers
    assert response.headers["retry-after"] == "1"
    line.before = []


async def test_closing_commits_what_is_queued_and_refuses_more(make_api: MakeApi, never_alone: Settings) -> None:
    api, line = await start(make_api, never_alone)
    line.hold.clear()
    queued = [send(api) for _ in range(3)]
    await until(lambda: api.store.inserts.queued == 3)
    closing = asyncio.create_task(api.store.inserts.close(10))
    await asyncio.sleep(0)  # one turn of the loop, in which it begins
    assert (await api.track({"siteId": "site_a"})).status_code == 503
    assert not any(task.done() for task in queued)
    line.hold.set()
    await closing
    assert {response.status_code for response in await asyncio.gather(*queued)} == {200}
    assert await count(api) == ("3", "3")
