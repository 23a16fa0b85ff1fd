"""Group commit: what happens to signals when INSERTs are slow, fail, or leave their outcome unclear."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from app.settings import Settings
from app.store.commit import ENOUGH_SIGNALS
from app.store.engine import EngineError
from app.store.statements import Statement
from tests.conftest import Api, MakeApi

Execute = Callable[[Statement, Any, bytes | None], Any]
REFUSED = {"error": "Temporarily unavailable, try again"}
UNCLEAR = {"error": "Not confirmed in time; the signals may still be stored"}
AT_ONCE = Settings(track_max_signals_per_minute=0, commit_interval_ms=0)
QUICK = msgspec.structs.replace(AT_ONCE, commit_timeout_ms=600, queue_max_signals=10)


class Line:
    """Stands between the service and its real engine, and breaks INSERTs as a test says."""

    def __init__(self, api: Api) -> None:
        self.real = api.store.engine.execute
        self.tokens: list[str] = []
        self.sizes: list[int] = []
        self.before: list[EngineError | None] = []  # raised instead of the next INSERTs
        self.after: list[EngineError | None] = []  # raised when the next INSERTs have committed
        self.hold = asyncio.Event()
        self.hold.set()
        api.store.engine.execute = self.execute  # type: ignore[method-assign]

    async def execute(self, statement: Statement, parameters: Any = None, rows: bytes | None = None) -> None:
        if statement.name != "track/insert_signals":
            await self.real(statement, parameters, rows)
            return
        self.tokens.append(parameters["token"])
        self.sizes.append((rows or b"").count(b"\n"))
        await self.hold.wait()
        if self.before and (error := self.before.pop(0)):
            raise error
        await self.real(statement, parameters, rows)
        if self.after and (error := self.after.pop(0)):
            raise error


async def count(api: Api) -> tuple[str, str]:
    """Stored signals in the table and pageviews in the rollup."""
    return (
        await api.select("SELECT count() FROM signals"),
        await api.select("SELECT sum(pageviews) FROM visitor_minutes"),
    )


async def start(make_api: MakeApi, settings: Settings = QUICK) -> tuple[Api, Line]:
    api = await make_api(settings)
    await api.add_site("site_a")
    return api, Line(api)


async def test_signals_that_arrive_during_an_insert_travel_together_in_the_next(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.hold.clear()
    first = asyncio.create_task(api.track({"siteId": "site_a"}))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(api.track({"siteId": "site_a"})) for _ in range(5)]
    await asyncio.sleep(0.05)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(first, *others)} == {200}
    assert line.sizes == [1, 5]
    assert await count(api) == ("6", "6")


async def test_signals_that_keep_coming_share_an_insert_though_none_runs(make_api: MakeApi) -> None:
    api, line = await start(make_api, msgspec.structs.replace(AT_ONCE, commit_interval_ms=1000))
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    others = []
    for _ in range(3):
        others.append(asyncio.create_task(api.track({"siteId": "site_a"})))
        await asyncio.sleep(0.05)
    assert {response.status_code for response in await asyncio.gather(*others)} == {200}
    assert line.sizes == [1, 3]


@pytest.mark.parametrize("of_one_request", [True, False])
async def test_enough_signals_do_not_wait_for_the_interval(make_api: MakeApi, of_one_request: bool) -> None:
    api, line = await start(make_api, AT_ONCE)
    api.store.signals._interval_s = 3600
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    requests = [1, ENOUGH_SIGNALS] if of_one_request else [ENOUGH_SIGNALS // 2] * 2
    answers = await asyncio.gather(
        *(api.track({"siteId": "site_a", "batch": True, "events": [{"path": "/"}] * size}) for size in requests)
    )
    assert {response.status_code for response in answers} == {200}
    assert line.sizes == [1, sum(requests)]


async def test_enough_signals_that_came_during_an_insert_do_not_wait_for_the_interval(make_api: MakeApi) -> None:
    api, line = await start(make_api, AT_ONCE)
    api.store.signals._interval_s = 3600
    line.hold.clear()
    first = asyncio.create_task(api.track({"siteId": "site_a"}))
    await asyncio.sleep(0.05)
    batch = {"siteId": "site_a", "batch": True, "events": [{"path": "/"}] * ENOUGH_SIGNALS}
    second = asyncio.create_task(api.track(batch))
    await asyncio.sleep(0.05)
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(first, second)} == {200}
    assert line.sizes == [1, ENOUGH_SIGNALS]


async def test_closing_does_not_wait_for_the_interval(make_api: MakeApi) -> None:
    api, line = await start(make_api, AT_ONCE)
    api.store.signals._interval_s = 3600
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    waiting = asyncio.create_task(api.track({"siteId": "site_a"}))
    await asyncio.sleep(0.05)
    await api.store.signals.close(5)
    assert (await waiting).status_code == 200
    assert line.sizes == [1, 1]


async def test_a_full_queue_is_503_at_once_and_stores_nothing_of_the_refused(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.hold.clear()
    waiting = [asyncio.create_task(api.track({"siteId": "site_a"})) for _ in range(10)]
    await asyncio.sleep(0.05)
    refused = await api.track({"siteId": "site_a"})
    assert (refused.status_code, refused.json()) == (503, REFUSED)
    assert refused.headers["retry-after"] == "1"
    line.hold.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert await count(api) == ("10", "10")


async def test_an_insert_whose_answer_is_lost_is_repeated_and_stored_once(make_api: MakeApi) -> None:
    api, line = await start(make_api, AT_ONCE)
    line.after = [EngineError(None), EngineError(None)]
    response = await api.track({"siteId": "site_a", "batch": True, "events": [{"path": "/a"}, {"path": "/b"}]})
    assert response.status_code == 200
    assert len(line.tokens) == 3
    assert len(set(line.tokens)) == 1
    assert await count(api) == ("2", "2")
    assert (await api.select("SELECT count() FROM recent_pageviews")) == "2"


async def test_two_equal_signals_are_two(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    for _ in range(2):
        await api.track({"siteId": "site_a"})
    assert len(set(line.tokens)) == 2
    assert await count(api) == ("2", "2")


async def test_without_an_answer_in_time_it_is_503_and_the_unclear_insert_is_still_settled_once(
    make_api: MakeApi,
) -> None:
    api, line = await start(make_api)
    line.after = [EngineError(None)] * 5
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, UNCLEAR)
    assert response.headers["retry-after"] == "1"
    while api.store.signals.queued:
        await asyncio.sleep(0.05)
    assert len(set(line.tokens)) == 1
    assert await count(api) == ("1", "1")


async def test_what_was_certainly_not_written_is_dropped_once_its_caller_was_told_503(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.before = [EngineError(None, written=False)] * 6
    assert (await api.track({"siteId": "site_a"})).status_code == 503
    while api.store.signals.queued:
        await asyncio.sleep(0.05)
    line.before = []
    assert (await api.track({"siteId": "site_a", "path": "/later"})).status_code == 200
    assert await api.select("SELECT groupArray(page) FROM signals") == "['/later']"


async def test_signals_whose_time_is_up_in_the_queue_are_not_stored_later(make_api: MakeApi) -> None:
    api, line = await start(make_api)
    line.hold.clear()
    late = [asyncio.create_task(api.track({"siteId": "site_a", "path": "/0"}))]
    await asyncio.sleep(0.05)
    late += [asyncio.create_task(api.track({"siteId": "site_a", "path": f"/{n}"})) for n in (1, 2)]
    answers = await asyncio.gather(*late)
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (503, UNCLEAR),
        (503, REFUSED),
        (503, REFUSED),
    ]
    line.hold.set()
    assert (await api.track({"siteId": "site_a", "path": "/later"})).status_code == 200
    # The first INSERT was under way when its caller left, so it may commit; what still waited must not.
    assert "/1" not in await api.select("SELECT groupArray(page) FROM signals")
    assert line.sizes[0] == line.sizes[-1] == 1


@pytest.mark.parametrize("code", [27, 164, 241, 243, 252])
async def test_what_clickhouse_refuses_is_503_without_its_words(make_api: MakeApi, code: int) -> None:
    api, line = await start(make_api)
    line.before = [EngineError(code, written=None if code > 200 else False, detail="DB::Exception: secret")] * 9
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (503, REFUSED if code == 27 else UNCLEAR)
    assert response.headers["retry-after"] == "1"
    line.before = []


async def test_closing_commits_what_is_queued_and_refuses_more(make_api: MakeApi) -> None:
    api, line = await start(make_api, AT_ONCE)
    api.store.signals._interval_s = 3600
    line.hold.clear()
    queued = [asyncio.create_task(api.track({"siteId": "site_a"})) for _ in range(3)]
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(api.store.signals.close(5))
    await asyncio.sleep(0.05)
    assert (await api.track({"siteId": "site_a"})).status_code == 503
    line.hold.set()
    await closing
    assert {response.status_code for response in await asyncio.gather(*queued)} == {200}
    assert await count(api) == ("3", "3")
