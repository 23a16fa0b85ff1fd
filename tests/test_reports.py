"""Breakdowns and histories: what they share, what they may not hold up, and what a failing one is answered."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.settings import Settings
from app.store.engine import EngineError, Parameters
from app.store.reports import Reports
from app.store.statements import Statement
from tests.conftest import Api, MakeApi
from tests.kit.waiting import until

NAMES = ("breakdown", "history")


class Database:
    """Answers a breakdown with its statement's number as the visitors, when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self.let = asyncio.Event()
        self.let.set()
        self.body: bytes | EngineError | None = None

    async def fetch(self, _statement: Statement, parameters: Parameters | None = None) -> bytes:
        self.asked.append((parameters or {})["site"])
        number = len(self.asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self.let.wait()
        self.running -= 1
        if isinstance(self.body, EngineError):
            raise self.body
        return b"[%d, 0, []]" % number if self.body is None else self.body


def reports_of(database: Any, *, max_statements: int = 1, timeout_s: float = 5) -> Reports:
    return Reports(
        database,
        {name: Statement(name, "") for name in NAMES},
        lambda: datetime.now(UTC),
        timeout_s=timeout_s,
        max_statements=max_statements,
    )


def ask(reports: Reports, site_id: str, tenant: str = "acme", **filters: str) -> asyncio.Task[bytes]:
    return asyncio.create_task(reports.breakdown(tenant, site_id, "page", filters))  # type: ignore[arg-type]


async def test_the_same_questions_share_a_statement_that_has_not_started() -> None:
    database = Database()
    database.let.clear()
    reports = reports_of(database)
    first = ask(reports, "a")
    await until(lambda: database.running == 1)
    later = [ask(reports, "a"), ask(reports, "a"), ask(reports, "a", country="DE")]
    await asyncio.sleep(0)
    database.let.set()
    answers = await asyncio.gather(first, *later)
    assert database.asked == ["a", "a", "a"]
    assert answers[1] is answers[2]
    assert len(set(answers)) == 3


async def test_no_more_statements_run_than_allowed_and_tenants_take_turns() -> None:
    database = Database()
    database.let.clear()
    reports = reports_of(database, max_statements=2)
    many = [ask(reports, f"many_{number}", "large") for number in range(6)]
    await until(lambda: database.running == 2)
    small = ask(reports, "small", "small")
    await asyncio.sleep(0)
    database.let.set()
    await asyncio.gather(*many, small)
    assert database.most_running == 2
    assert "small" in database.asked[:4]


@pytest.mark.parametrize("body", [b"", b"<html>fine</html>", b"[1, 2]", EngineError(159), b"[]"])
@pytest.mark.parametrize("what", NAMES)
async def test_what_is_not_known_is_unavailable_and_never_zero(body: bytes | EngineError, what: str) -> None:
    database = Database()
    database.body = body
    reports = reports_of(database)
    for _ in range(2):  # the room is given back
        with pytest.raises(Unavailable):
            await (
                reports.breakdown("acme", "a", "page", {}) if what == "breakdown" else reports.history("acme", "a", 5)
            )


async def test_who_waits_too_long_gives_up_and_is_not_asked_for() -> None:
    database = Database()
    database.let.clear()
    reports = reports_of(database, timeout_s=0.05)
    waiting = [ask(reports, "running"), ask(reports, "waiting")]
    for one in waiting:
        with pytest.raises(Unavailable):
            await one
    database.let.set()
    await ask(reports, "later")
    assert database.asked == ["running", "later"]


async def test_a_report_that_takes_its_time_delays_no_poll_and_no_signal(make_api: MakeApi) -> None:
    api: Api = await make_api(Settings(track_max_signals_per_minute=0, commit_interval_ms=0))
    await api.add_site("site_a")
    _, token = await api.add_key("admin")
    engine = api.store.engine
    fetch, running, let = engine.fetch, asyncio.Event(), asyncio.Event()

    async def slow(statement: Statement, parameters: Parameters | None = None) -> bytes:
        if statement.name in NAMES:
            running.set()
            await let.wait()
        return await fetch(statement, parameters)

    engine.fetch = slow  # type: ignore[method-assign]
    paths = ("breakdown?siteId=site_a&by=page", "history?siteId=site_a")
    reports = [asyncio.create_task(api.get(f"/api/realtime/{path}", token)) for path in paths]
    await running.wait()
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    assert (await api.realtime("site_a", token))["activeVisitors"] == 1
    let.set()
    assert [response.status_code for response in await asyncio.gather(*reports)] == [200, 200]
