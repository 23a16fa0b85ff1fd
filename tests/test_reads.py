"""Coalesced reads: what shares a statement, what must not, and what a failing statement costs its neighbours."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest

from app.domain.errors import Unavailable
from app.domain.sites import site_key
from app.settings import Settings
from app.store.engine import EngineError, Parameters
from app.store.reads import RealtimeReads
from app.store.server import ServerEngine
from app.store.statements import Statement
from tests.conftest import MakeApi

TIMEOUT_EXCEEDED = 159
MEMORY_LIMIT_EXCEEDED = 241


WORDS = ("site", "other", "busy", "running", "waiting", "later", "gone", "stays", "small", "large")
SITES = {
    site_key(name): name
    for name in (
        *WORDS,
        *(f"{tenant}{number}" for tenant in "abc" for number in (1, 2)),
        *(f"{kind}_{number}" for kind in ("site", "large") for number in range(1_000)),
        *(f"{number:064}" for number in range(4_000)),
        *("first", "small", *(f"site_{number}" for number in range(1_500))),
    )
}
"""The sites that these tests ask for, by their keys in a statement."""


def result(*rows: str) -> bytes:
    """What sql/realtime.sql returns."""
    return f'{{"meta":[],"data":[{",".join(rows)}],"rows":{len(rows)}}}'.encode()


def row(site_id: str, rows: int, number: int) -> str:
    return f'["{site_key(site_id)}",{number},0,[],[],[{rows},0,0,0,0]]'


class Database:
    """Answers each statement when the test lets it; `too_large` sites make theirs fail, others have `rows`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.running = 0
        self.most_running = 0
        self.too_large: set[str] = set()
        self.rows: dict[str, int] = {}
        self.code: int | None = MEMORY_LIMIT_EXCEEDED
        self.let = asyncio.Event()
        self.let.set()
        self.held: dict[str, asyncio.Event] = {}
        """Statements with one of these sites run until its event is set."""

    async def fetch(self, _statement: Statement, parameters: Parameters | None = None) -> bytes:
        sites = [SITES[key] for key in (parameters or {})["sites"]]
        self.asked.append(sites)
        number = len(self.asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            await self.let.wait()
            for site in self.held.keys() & set(sites):
                await self.held[site].wait()
        finally:
            self.running -= 1
        if self.too_large.intersection(sites):
            raise EngineError(self.code)
        return result(*[row(site, self.rows.get(site, 1), number) for site in sites])


def statement_of(answer: bytes) -> int:
    """The number of the statement that made an answer."""
    return int(msgspec.json.decode(answer)["activeVisitors"])


def answers_of(
    database: Database, *, max_statements: int = 1, max_sites: int = 1_000, timeout_s: float = 5
) -> RealtimeReads:
    return RealtimeReads(
        database,  # type: ignore[arg-type]
        {"realtime": Statement("realtime", "")},
        lambda: datetime.now(UTC),
        timeout_s=timeout_s,
        max_statements=max_statements,
        max_sites=max_sites,
        shared_max_rows=1_000,
    )


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def hold(database: Database, answers: RealtimeReads, site_id: str) -> asyncio.Task[bytes]:
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
    assert statement_of(await first) == 1
    assert [statement_of(answer) for answer in await asyncio.gather(*later)] == [2] * 3


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


async def test_the_tenant_that_a_statement_had_no_room_for_goes_first_in_the_next() -> None:
    database = Database()
    answers = answers_of(database, max_sites=2)
    busy = await hold(database, answers, "busy")
    polls = [
        asyncio.create_task(answers.of(tenant, f"{tenant}{number}")) for tenant in ("a", "b", "c") for number in (1, 2)
    ]
    await turn()
    database.let.set()
    await asyncio.gather(busy, *polls)
    assert database.asked == [["busy"], ["a1", "b1"], ["c1", "a2"], ["b2", "c2"]]


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


async def test_a_failure_that_is_not_over_the_sites_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    answers = answers_of(database)

    async def refuse(*_: object) -> bytes:
        database.asked.append([])
        raise EngineError(516, written=False)

    monkeypatch.setattr(database, "fetch", refuse)
    results = await asyncio.gather(*[answers.of("acme", f"site_{n}") for n in range(8)], return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(database.asked) == 1


@pytest.mark.parametrize("code", [None, MEMORY_LIMIT_EXCEEDED])
async def test_a_statement_without_an_answer_is_split_like_one_that_was_too_large(code: int | None) -> None:
    database = Database()
    database.too_large, database.code = {"site_3"}, code
    answers = answers_of(database)
    results = await asyncio.gather(*[answers.of("acme", f"site_{n}") for n in range(8)], return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, Unavailable)] == [3]


async def test_polls_of_a_site_whose_statement_runs_wait_for_the_next_and_take_no_second_place() -> None:
    database = Database()
    answers = answers_of(database, max_statements=2)
    first = await hold(database, answers, "large")
    later = [asyncio.create_task(answers.of("acme", "large")) for _ in range(3)]
    other = asyncio.create_task(answers.of("acme", "other"))
    await turn()
    assert database.asked == [["large"], ["other"]]
    database.let.set()
    await asyncio.gather(first, other, *later)
    assert database.asked == [["large"], ["other"], ["large"]]


async def ask_again_and_again(answers: RealtimeReads, site_id: str) -> None:
    while True:
        with suppress(Unavailable):
            await answers.of("rival", site_id)


@pytest.mark.parametrize("why", ["rows", "failure"])
async def test_large_sites_never_hold_up_the_others(why: str) -> None:
    database = Database()
    large = ("large_1", "large_2")
    if why == "rows":
        database.rows = dict.fromkeys(large, 1001)
    else:
        database.too_large = set(large)
    answers = answers_of(database, max_statements=2)
    pollers = [asyncio.create_task(ask_again_and_again(answers, site)) for site in large]
    await asyncio.gather(*[answers.of("acme", f"site_{n}") for n in range(20)])
    while sum(sites in (["large_1"], ["large_2"]) for sites in database.asked) < 4:
        await turn()
    database.held = {site: asyncio.Event() for site in large}
    await turn()
    for _ in range(5):
        await asyncio.gather(*[answers.of("acme", f"site_{n}") for n in range(20)])
    assert database.running == 1
    for poller in pollers:
        poller.cancel()


async def test_with_one_statement_at_a_time_large_sites_and_the_others_take_turns() -> None:
    database = Database()
    database.rows = {"large_1": 1_001, "large_2": 1_001}
    answers = answers_of(database)
    await asyncio.gather(*[answers.of("rival", site) for site in database.rows])
    database.asked.clear()
    busy = await hold(database, answers, "site_0")
    polls = [answers.of("rival", site) for site in database.rows] + [answers.of("acme", f"site_{n}") for n in (1, 2)]
    waiting = asyncio.gather(*polls)
    await turn()
    late = asyncio.create_task(answers.of("acme", "site_0"))
    database.let.set()
    await asyncio.gather(busy, waiting, late)
    assert database.asked == [["site_0"], ["large_1"], ["site_1", "site_2", "site_0"], ["large_2"]]


async def test_a_site_that_has_become_small_shares_again() -> None:
    database = Database()
    database.rows = {"site_0": 1_001}
    answers = answers_of(database)

    async def asked() -> list[list[str]]:
        before = len(database.asked)
        await asyncio.gather(*[answers.of("acme", site) for site in ("site_0", "site_1")])
        return sorted(database.asked[before:])

    together, apart = [["site_0", "site_1"]], [["site_0"], ["site_1"]]
    assert [await asked(), await asked()] == [together, apart]
    database.rows.clear()
    assert [await asked(), await asked()] == [apart, together]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>fine</html>",
        b"{}",
        result(row("site_0", 1, 1), row("site_1", 1, 1))[:-10],
        result(row("site_0", 1, 1), row("site_1", 1, 1)).replace(b'"rows":2', b'"rows":3'),
        result(row("site_0", 1, 1), row("site_2", 1, 1)),
        result(row("site_0", 1, 1), row("site_1", 1, 1).replace("[]", '["?"]')),
        result(row("site_0", 1, 1), row("site_1", 1, 1).replace(",0]", "]")),
        result(row("site_0", 1, 1), '["many",1,0,[],[],[0,0,0,0,0]]'),
    ],
)
async def test_an_answer_that_is_not_clickhouses_is_never_passed_on_and_ends_nothing(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database()
    answers = answers_of(database)

    async def garbled(*_: object) -> bytes:
        return body

    monkeypatch.setattr(database, "fetch", garbled)
    polls = [answers.of("acme", f"site_{number}") for number in range(2)]
    results = await asyncio.gather(*polls, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    monkeypatch.undo()
    assert statement_of(await answers.of("acme", "site_1")) == 1


async def test_a_site_that_a_whole_result_does_not_name_has_no_visitors(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    answers = answers_of(database)

    async def without_rows(*_: object) -> bytes:
        return result()

    monkeypatch.setattr(database, "fetch", without_rows)
    assert statement_of(await answers.of("acme", "site_1")) == 0


async def test_a_defect_is_503_at_once_and_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database()
    answers = answers_of(database, timeout_s=60)

    async def broken(*_: object) -> bytes:
        raise RuntimeError("a defect")

    monkeypatch.setattr(database, "fetch", broken)
    with pytest.raises(Unavailable):
        await answers.of("acme", "site")
    assert "a defect" in caplog.text


async def test_more_sites_than_a_parameter_may_hold_travel_in_several_statements() -> None:
    database = Database()
    answers = answers_of(database, max_sites=100_000)
    sites = [f"{number:064}" for number in range(4_000)]
    await asyncio.gather(*[answers.of("acme", site) for site in sites])
    assert sorted(site for asked in database.asked for site in asked) == sites
    assert [len(asked) for asked in database.asked] == [3_000, 1_000]


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
    assert statement_of(await answers.of("acme", "later")) == 2
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


async def test_a_statement_over_its_time_is_ended_by_clickhouse_which_says_so(server_url: str) -> None:
    engine = ServerEngine(server_url, query_timeout_s=1, insert_timeout_s=1)
    slow = Statement("slow", "SELECT sleep(1.5)")
    with pytest.raises(EngineError) as failure:
        await engine.fetch(slow)
    await engine.close()
    assert failure.value.code == TIMEOUT_EXCEEDED


async def test_thousands_of_sites_are_asked_for_without_a_failure(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    api = await make_api(Settings(query_max_sites=100_000, query_max_statements=1))
    sites = [f"{number:064}" for number in range(3_500)]
    answers = await asyncio.gather(*[api.store.reads.of("acme", site) for site in sites])
    assert len(answers) == 3_500
    assert caplog.text == ""
