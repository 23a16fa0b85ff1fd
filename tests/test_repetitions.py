"""An Idempotency-Key: a request that is sent again is stored once, whichever worker takes it and whatever happened."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from app.settings import Settings
from app.store.engine import EngineError
from app.store.statements import Statement
from tests.conftest import Api, Clock, MakeApi
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import until

SETTINGS = Settings(commit_interval_ms=0, repeatable_interval_ms=0)
QUICK = msgspec.structs.replace(SETTINGS, commit_timeout_ms=1_500)
"""Of a worker that is to give up."""
UNCLEAR = (503, {"error": "Not confirmed in time; the signals may still be stored"}, "unknown")
STORED = (200, {"success": True}, None)
LOST = EngineError(None)
REFUSED = EngineError(None, written=False)


class Line:
    """Stands between a service and its engine, and breaks INSERTs of signals as a test says."""

    def __init__(self, api: Api) -> None:
        self.real = api.store.engine.execute
        self.pages: list[str] = []
        self.before: EngineError | None = None
        self.after: EngineError | None = None
        self.pass_on = asyncio.Event()
        self.pass_on.set()
        api.store.engine.execute = self.execute  # type: ignore[method-assign]

    async def execute(
        self, statement: Statement, parameters: Any = None, rows: bytes | None = None, **options: Any
    ) -> None:
        if statement.name == "track/insert_signals":
            self.pages += [msgspec.json.decode(line)["page"] for line in (rows or b"").splitlines()]
            await self.pass_on.wait()
            if self.before:
                raise self.before
        await self.real(statement, parameters, rows, **options)
        if statement.name == "track/insert_signals" and self.after:
            raise self.after


class Workers:
    """Two workers of one service with one clock, and a key of scope write."""

    def __init__(self, first: Api, second: Api, clock: Clock, write: str, read: str) -> None:
        self.first, self.second, self.clock, self.write, self.read = first, second, clock, write, read

    async def send(self, worker: Api, key: str = "k-1", **fields: Any) -> tuple[int, Any, str | None]:
        """Status, body and Pulsehouse-Stored of a signal of ann under an Idempotency-Key."""
        body = {"siteId": "site_a", "path": "/", "visitorId": "ann", **fields}
        return said(await worker.track(body, self.write, Idempotency_Key=key))

    async def stored(self) -> list[str]:
        """What is in each table."""
        return [
            await self.first.select("SELECT count() FROM signals"),
            await self.first.select("SELECT sum(pageviews) FROM visitor_minutes"),
            await self.first.select("SELECT sum(length(finalizeAggregation(newest_state))) FROM recent_pageviews"),
        ]

    async def add_tenant(self, tenant: str, site_id: str) -> str:
        await self.first.add_site(site_id, tenant)
        _, token = await self.first.add_key("write", tenant)
        await self.second.store.refresh()
        return token


def said(response: httpx.Response) -> tuple[int, Any, str | None]:
    return response.status_code, response.json(), response.headers.get("pulsehouse-stored")


async def start(make_api: MakeApi, settings: Settings = SETTINGS) -> Workers:
    """The first worker has these settings."""
    clock = Clock()
    first, second = await make_api(settings, clock), await make_api(SETTINGS, clock)
    await first.add_site("site_a")
    await first.add_site("site_b")
    (_, write), (_, read) = await first.add_key("write"), await first.add_key("read")
    await second.store.refresh()
    return Workers(first, second, clock, write, read)


@pytest.fixture
async def workers(make_api: MakeApi) -> Workers:
    return await start(make_api)


@pytest.mark.cluster
async def test_a_request_that_is_sent_again_is_answered_alike_and_stored_once(workers: Workers) -> None:
    for worker in (workers.first, workers.first, workers.second):
        assert await workers.send(worker) == STORED
        workers.clock.advance(90)  # so that the repetition is of another minute
    assert await workers.stored() == ["1", "1", "1"]
    assert await workers.send(workers.second, key="k-2") == STORED
    assert await workers.stored() == ["2", "2", "2"]


@pytest.mark.cluster
async def test_a_batch_of_several_sites_is_stored_once_and_counted_each_time(workers: Workers) -> None:
    sent = [
        {"siteId": "site_a", "visitorId": "ann"},
        {"siteId": "site_b", "visitorId": "bob"},
        {"siteId": "site_b", "userAgent": "curl/8.5.0"},
    ]
    for worker in (workers.first, workers.second):
        answer = await worker.track({"batch": True, "events": sent}, workers.write, Idempotency_Key="k")
        assert said(answer) == (200, {"success": True, "count": 2}, None)
    assert await workers.stored() == ["2", "2", "2"]


async def test_attempts_at_the_same_moment_on_both_workers_are_stored_once(workers: Workers) -> None:
    attempts = [workers.send(worker, key) for key in "abcd" for worker in (workers.first, workers.second) * 2]
    assert await asyncio.gather(*attempts) == [STORED] * 16
    assert await workers.stored() == ["4", "4", "4"]


async def test_what_one_worker_could_not_confirm_another_stores_once(make_api: MakeApi) -> None:
    workers = await start(make_api, QUICK)
    line = Line(workers.first)
    line.after = LOST  # committed, but the answer does not come
    assert await workers.send(workers.first) == UNCLEAR
    assert await workers.send(workers.second) == STORED
    line.after = None
    await until(lambda: workers.first.store.repeatable.inserts.queued == 0)
    assert await workers.stored() == ["1", "1", "1"]


async def test_what_one_worker_still_holds_is_stored_once_when_it_comes(make_api: MakeApi) -> None:
    workers = await start(make_api, QUICK)
    line = Line(workers.first)
    line.pass_on.clear()
    assert await workers.send(workers.first) == UNCLEAR
    assert await workers.send(workers.second) == STORED
    line.pass_on.set()
    await until(lambda: workers.first.store.repeatable.inserts.queued == 0)
    assert await workers.stored() == ["1", "1", "1"]


async def test_a_refused_attempt_may_follow_one_that_was_stored_so_it_is_unclear(make_api: MakeApi) -> None:
    workers = await start(make_api, QUICK)
    Line(workers.first).before = REFUSED
    assert await workers.send(workers.second) == STORED
    assert await workers.send(workers.first) == UNCLEAR
    assert await workers.stored() == ["1", "1", "1"]


@pytest.mark.parametrize("fails", [None, LOST, REFUSED])
async def test_over_midnight_a_repetition_makes_the_rows_of_the_first_attempt(
    make_api: MakeApi, fails: EngineError | None
) -> None:
    workers = await start(make_api, QUICK if fails else SETTINGS)
    line = Line(workers.first)
    line.before = fails
    workers.clock.set("23:59:58")
    day = workers.clock.now.date()
    assert await workers.send(workers.first) == (UNCLEAR if fails else STORED)
    workers.clock.set("00:00:03", days=1)
    assert await workers.send(workers.second) == STORED
    line.before = None
    assert await workers.stored() == ["1", "1", "1"]
    assert await workers.first.select("SELECT timestamp FROM signals") == f"{day} 23:59:58.000000"
    assert await workers.first.select("SELECT minute FROM visitor_minutes") == f"{day} 23:59:00"
    answer = await workers.second.realtime(token=workers.read)
    assert (answer["activeVisitors"], answer["pageviewsLast5Min"]) == (1, 1)


async def test_ten_minutes_after_the_first_attempt_a_key_is_refused(workers: Workers) -> None:
    workers.clock.set("23:55:00")
    assert await workers.send(workers.first) == STORED
    workers.clock.advance(600)
    await workers.first.store.delete_salts()
    assert await workers.send(workers.second) == STORED
    workers.clock.advance(1)
    refused = (422, {"error": "Idempotency-Key: first used over 10 minutes ago"}, None)
    assert await workers.send(workers.second) == refused
    # The table forgets a row before ClickHouse forgets its token.
    await workers.first.execute("ALTER TABLE request_keys DELETE WHERE 1 SETTINGS mutations_sync = 1")
    assert await workers.send(workers.first) == refused
    assert await workers.stored() == ["1", "1", "1"]


async def test_ten_minutes_into_the_day_the_salts_of_the_first_attempt_are_still_there(make_api: MakeApi) -> None:
    workers = await start(make_api, QUICK)
    line = Line(workers.first)
    line.before = REFUSED
    keep = "ALTER TABLE request_keys MODIFY TTL toDateTime(received_at) + INTERVAL"
    await workers.first.execute(f"{keep} 30 DAY")  # the day is over by the clock of ClickHouse too, which removes salts
    try:
        workers.clock.set("00:09:59", days=-1)
        timestamp = (
            workers.clock.now - timedelta(minutes=5)
        ).isoformat()  # so that the salt of the day before is needed
        assert await workers.send(workers.first, timestamp=timestamp) == UNCLEAR
        needed = f"SELECT day, salt FROM salts WHERE day <= '{workers.clock.now.date()}' ORDER BY day"
        salts = await workers.first.select(needed)
        workers.clock.advance(600)
        await workers.second.store.delete_salts()
        assert await workers.send(workers.second, timestamp=timestamp) == STORED
        assert await workers.first.select(needed) == salts
    finally:
        await workers.first.execute(f"{keep} 1 HOUR")


async def test_a_key_belongs_to_its_body_sites_and_tenant(workers: Workers) -> None:
    rival = await workers.add_tenant("rival", "site_r")
    assert await workers.send(workers.first) == STORED
    assert await workers.send(workers.second, path="/other") == (
        422,
        {"error": "Idempotency-Key: was used with another body"},
        None,
    )
    assert await workers.send(workers.second, siteId="site_b") == STORED
    other = await workers.second.track({"siteId": "site_r"}, rival, Idempotency_Key="k-1")
    assert said(other) == STORED
    assert await workers.stored() == ["3", "3", "3"]


@pytest.mark.parametrize("key", ["", "x" * 65, "two words", "tab\t", "ümlaut"])
async def test_a_key_that_is_none_is_400_and_nothing_is_stored(workers: Workers, key: str) -> None:
    response = await workers.first.client.post(
        "/api/track",
        json={"siteId": "site_a"},
        headers=[
            (b"authorization", f"Bearer {workers.write}".encode()),
            (b"user-agent", BROWSER.encode()),
            (b"idempotency-key", key.encode()),
        ],
    )
    told = "Idempotency-Key: use 1 to 64 printable ASCII characters without blanks"
    assert said(response) == (400, {"error": told}, None)
    assert await workers.stored() == ["0", "0", "0"]


async def test_two_keys_are_400(workers: Workers) -> None:
    headers = [("authorization", f"Bearer {workers.write}"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    response = await workers.first.client.post("/api/track", json={"siteId": "site_a"}, headers=headers)
    assert said(response) == (400, {"error": "Idempotency-Key: use one"}, None)


async def test_without_an_api_key_it_is_400_and_with_a_bad_request_it_is_not_used_up(workers: Workers) -> None:
    response = await workers.first.track({"siteId": "site_a"}, Idempotency_Key="k-1")
    assert said(response) == (400, {"error": "Idempotency-Key: needs an API key of scope write"}, None)
    for status, fields in ((404, {"siteId": "unknown"}), (400, {"path": 1})):
        assert (await workers.send(workers.first, **fields))[0] == status
    assert await workers.first.select("SELECT count() FROM request_keys") == "0"


async def test_one_tenants_keyed_requests_wait_for_each_other_and_keep_nobody_else_waiting(workers: Workers) -> None:
    rival = await workers.add_tenant("rival", "site_r")
    line = Line(workers.first)
    line.pass_on.clear()
    many = [asyncio.create_task(workers.send(workers.first, key=f"k-{n}", path=f"/{n}")) for n in range(5)]
    await until(lambda: line.pages == ["/0"])
    other = asyncio.create_task(workers.first.track({"siteId": "site_r", "path": "/r"}, rival, Idempotency_Key="k-0"))
    await until(lambda: workers.first.store.repeatable.inserts.queued == 2)
    line.pass_on.set()
    assert await asyncio.gather(*many) == [STORED] * 5
    assert said(await other) == STORED
    assert line.pages == ["/0", "/r", "/1", "/2", "/3", "/4"]


async def test_signals_without_a_key_do_not_wait_for_those_with_one(workers: Workers) -> None:
    line = Line(workers.first)
    line.pass_on.clear()
    keyed = asyncio.create_task(workers.send(workers.first))
    await until(lambda: line.pages == ["/"])
    other = asyncio.create_task(workers.first.track({"siteId": "site_a", "path": "/plain"}))
    await until(lambda: line.pages == ["/", "/plain"])
    line.pass_on.set()
    assert await keyed == STORED
    assert said(await other) == STORED


async def test_more_than_the_queue_may_hold_is_refused_at_once(make_api: MakeApi) -> None:
    workers = await start(make_api, msgspec.structs.replace(SETTINGS, queue_max_signals=3))
    line = Line(workers.first)
    line.pass_on.clear()
    waiting = [asyncio.create_task(workers.send(workers.first, key=f"k-{n}", path=f"/{n}")) for n in range(3)]
    await until(lambda: line.pages == ["/0"])
    assert await workers.send(workers.first, key="k-4") == UNCLEAR
    line.pass_on.set()
    assert await asyncio.gather(*waiting) == [STORED] * 3
    assert await workers.send(workers.first, key="k-4") == STORED
