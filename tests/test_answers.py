"""Coalesced reads: what shares a statement, what must not, and what a failing statement costs its neighbours."""

import asyncio
from datetime import UTC, datetime

import pytest

from app.domain.errors import Unavailable
from app.store.answers import RealtimeAnswers
from app.store.engine import EngineError, Parameters
from app.store.statements import Statement

MEMORY_LIMIT_EXCEEDED = 241


class Database:
    """Answers each statement when the test lets it; `too_large` sites make theirs fail."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.running = 0
        self.most_running = 0
        self.too_large: set[str] = set()
        self.code: int | None = MEMORY_LIMIT_EXCEEDED
        self.let = asyncio.Event()
        self.let.set()

    async def fetch(self, _statement: Statement, parameters: Parameters | None = None) -> bytes:
        sites = list((parameters or {})["sites"])
        self.asked.append(sites)
        number = len(self.asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            await self.let.wait()
        finally:
            self.running -= 1
        if self.too_large.intersection(sites):
            raise EngineError(self.code)
        return "".join(f'{site}\t{{"statement":{number}}}\n' for site in sites).encode()


def answers_of(
    database: Database, *, max_statements: int = 1, max_sites: int = 1_000, timeout_s: float = 5
) -> RealtimeAnswers:
    return RealtimeAnswers(
        database,  # type: ignore[arg-type]
        {"realtime": Statement("realtime", "")},
        lambda: datetime.now(UTC),
        timeout_s=timeout_s,
        max_statements=max_statements,
        max_sites=max_sites,
    )


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def hold(database: Database, answers: RealtimeAnswers, site_id: str) -> asyncio.Task[bytes]:
    """A poll whose statement runs until `database.let` is set."""
    database.let.clear()
    poll = asyncio.create_task(answers.of("acme", site_id))
    await turn()
    return poll


async def test_polls_that_arrive_together_share_a_statement_and_each_site_is_asked_for_once() -> None:
    database = Database()
    answers = answers_of(database)
    bodies = await asyncio.gather(*[answers.of("acme", f"site_{number % 3}") for number in range(30)])
    assert [sorted(sites) for sites in database.asked] == [["site_0", "site_1", "site_2"]]
    assert len({id(body) for body in bodies}) == 3


async def test_a_poll_is_not_answered_by_a_statement_that_started_before_it() -> None:
    database = Database()
    answers = answers_of(database)
    first = await hold(database, answers, "site")
    later = [asyncio.create_task(answers.of("acme", "site")) for _ in range(3)]
    await turn()
    database.let.set()
    assert await first == b'{"statement":1}'
    assert await asyncio.gather(*later) == [b'{"statement":2}'] * 3


async def test_no_more_statements_run_at_once_than_allowed_and_none_is_larger() -> None:
    database = Database()
    answers = answers_of(database, max_statements=3, max_sites=10)
    await asyncio.gather(*[answers.of("acme", f"site_{number}") for number in range(100)])
    assert database.most_running == 3
    assert [len(sites) for sites in database.asked] == [10] * 10


async def test_a_tenant_with_many_sites_does_not_starve_another() -> None:
    database = Database()
    answers = answers_of(database, max_sites=10)
    large = [asyncio.create_task(answers.of("large", f"large_{number}")) for number in range(1_000)]
    small = asyncio.create_task(answers.of("small", "small"))
    await small
    assert len(database.asked) == 1
    assert "small" in database.asked[0]
    await asyncio.gather(*large)


async def test_a_site_too_large_for_a_statement_fails_alone_and_its_neighbours_are_answered() -> None:
    database = Database()
    database.too_large = {"site_37"}
    answers = answers_of(database)
    polls = [answers.of("acme", f"site_{number}") for number in range(100)]
    results = await asyncio.gather(*polls, return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, Unavailable)] == [37]
    assert sum(isinstance(result, bytes) for result in results) == 99
    assert database.most_running == 1


async def test_a_site_that_was_too_large_does_not_take_all_its_neighbours_down_again() -> None:
    database = Database()
    database.too_large = {"site_0"}
    answers = answers_of(database)
    for _ in range(2):
        polls = [answers.of("acme", f"site_{number}") for number in range(64)]
        before = len(database.asked)
        await asyncio.gather(*polls, return_exceptions=True)
        if before:
            assert ["site_0"] in database.asked[before:]
            assert len(database.asked[before]) < 64


@pytest.mark.parametrize("code", [None, 516])
async def test_a_failure_that_is_not_over_the_sites_is_not_repeated(code: int | None) -> None:
    database = Database()
    database.too_large, database.code = {"site_0"}, code
    answers = answers_of(database)
    if code is not None:
        refused = EngineError(code, written=False)

        async def refuse(*_: object) -> bytes:
            database.asked.append([])
            raise refused

        database.fetch = refuse  # type: ignore[method-assign]
    results = await asyncio.gather(*[answers.of("acme", f"site_{n}") for n in range(8)], return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(database.asked) == 1


async def test_a_poll_gives_up_when_its_time_is_over_and_its_site_is_not_asked_for_any_more() -> None:
    database = Database()
    answers = answers_of(database, timeout_s=0.05)
    first = await hold(database, answers, "running")
    waiting = asyncio.create_task(answers.of("acme", "waiting"))
    for poll in (first, waiting):
        with pytest.raises(Unavailable):
            await poll
    database.let.set()
    await turn()
    assert await answers.of("acme", "later") == b'{"statement":2}'
    assert database.asked == [["running"], ["later"]]


async def test_a_caller_that_is_gone_is_not_asked_for() -> None:
    database = Database()
    answers = answers_of(database)
    first = await hold(database, answers, "running")
    gone = asyncio.create_task(answers.of("acme", "gone"))
    stays = asyncio.create_task(answers.of("acme", "stays"))
    await turn()
    gone.cancel()
    await turn()
    database.let.set()
    await asyncio.gather(first, stays)
    assert database.asked == [["running"], ["stays"]]
