"""Coalesced reads: all sites asked for while statements run go into the next statement."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from app import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.domain.realtime import (
    WINDOW_MINUTES,
    MinuteVisitors,
    RealtimeAnswer,
    minutes_of_window,
    start_of_window,
    unpack_pageview,
)
from app.domain.sites import site_key
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError, Parameters
from app.store.statements import Statement

log = logging.getLogger(__name__)

Poll = asyncio.Future[bytes]

MOST_SITES = 3_000
"""In one statement: each is up to 39 digits and a comma, and ClickHouse takes a parameter of 131,072 bytes
(http_max_field_value_size)."""

SPLIT = 8
"""Into how many parts a failed statement is split. Each round may cost its time limit, so few rounds are better."""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What sql/realtime.sql returns of a site with visitors."""

    site: str
    visitors: int
    pageviews: int
    pages: list[tuple[str, int]]
    newest: list[str]
    per_minute: list[int]


class _Result(msgspec.Struct, frozen=True):
    """What it returns in all."""

    data: list[_Row]
    rows: int


NO_VISITORS = _Row("", 0, 0, [], [], [0] * WINDOW_MINUTES)

_decode_result = msgspec.json.Decoder(_Result).decode
_encode = msgspec.json.Encoder().encode


class _Asked:
    """A site in a statement, the polls that wait for its answer, and those that have come since it started."""

    __slots__ = ("later", "later_since_s", "polls", "since_s", "tenant")

    def __init__(self, tenant: str, polls: list[Poll], since_s: float) -> None:
        self.tenant = tenant
        self.polls = polls
        self.since_s = since_s
        self.later: list[Poll] = []
        self.later_since_s = 0.0


class _Lane:
    """Sites that wait for a statement, and how many statements may run for sites of this kind at once."""

    def __init__(self, max_statements: int, max_sites: int) -> None:
        self.room = max_statements
        self._max_sites = min(max_sites, MOST_SITES)
        self._waiting: dict[str, dict[str, list[Poll]]] = {}  # tenant -> site -> polls
        self._since_s: dict[str, float] = {}  # site -> when the first of them came here

    def add(self, tenant: str, site_id: str, polls: list[Poll], since_s: float) -> None:
        self._waiting.setdefault(tenant, {}).setdefault(site_id, []).extend(polls)
        self._since_s.setdefault(site_id, since_s)

    def take(self, suspects: Mapping[str, int]) -> dict[str, _Asked]:
        """Take sites for a statement: one of each tenant in turn, so that a large tenant starves nobody.

        Sites whose polls have all given up are dropped.
        """
        group: dict[str, _Asked] = {}
        room, progress = self._max_sites, True
        while progress and len(group) < room:
            progress = False
            for tenant, sites in list(self._waiting.items()):
                site_id = next(iter(sites))
                room_with_it = min(room, suspects.get(site_id, room))
                if group and len(group) >= room_with_it:
                    continue  # it leads a later statement
                progress = True
                polls, since_s = sites.pop(site_id), self._since_s.pop(site_id)
                del self._waiting[tenant]
                if sites:
                    self._waiting[tenant] = sites  # behind the other tenants
                if any(not poll.done() for poll in polls):
                    room = room_with_it
                    group[site_id] = _Asked(tenant, polls, since_s)
        return group


class RealtimeReads:
    """Answers polls with as few statements as possible, none of them older than the poll.

    At most `max_statements` run at once. What arrives meanwhile waits; the next statement takes up to `max_sites`
    waiting sites, in turn from each tenant. All polls for one site share the bytes of one answer, and a site is in one
    statement at a time: polls that come while it runs wait for the site's next one.

    When a statement fails over its sites (memory, time), they become suspects and are asked for again in ever smaller
    groups, so that one site that is too large soon is alone. A site whose answer took more than `shared_max_rows` rows
    is asked for alone too. Suspects never take the last statement: the other sites do not wait for them.
    """

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        clock: Clock,
        *,
        timeout_s: float,
        max_statements: int,
        max_sites: int,
        shared_max_rows: int,
    ) -> None:
        self._engine = engine
        self._statement = statements["realtime"]
        self._clock = clock
        self._deadlines = Deadlines(timeout_s)
        self._max_statements = max_statements
        self._shared_max_rows = shared_max_rows
        self._trusted = _Lane(max_statements, max_sites)
        self._suspected = _Lane(max(1, max_statements - 1), max_sites)
        self._turns = [self._trusted, self._suspected]
        self._suspects: dict[str, int] = {}  # site -> how many sites may share its statement
        self._asked: dict[str, _Asked] = {}  # the sites in running statements
        self._running: set[asyncio.Task[None]] = set()
        self._starting = False

    async def of(self, tenant: str, site_id: str) -> bytes:
        """Return the realtime answer of a site as JSON. Raises Unavailable when it is not known in time."""
        poll: Poll = self._deadlines.new_future()
        self._ask(tenant, site_id, [poll], time.perf_counter())
        try:
            return await poll
        except TimeoutError:
            raise Unavailable from None

    def _ask(self, tenant: str, site_id: str, polls: list[Poll], since_s: float) -> None:
        if asked := self._asked.get(site_id):
            asked.later_since_s = asked.later_since_s if asked.later else since_s
            asked.later.extend(polls)
            return
        lane = self._suspected if site_id in self._suspects else self._trusted
        lane.add(tenant, site_id, polls, since_s)
        if not self._starting and len(self._running) < self._max_statements:
            # Not at once: what arrives in the same turn of the event loop is to travel in the same statement.
            asyncio.get_running_loop().call_soon(self._start)
            self._starting = True

    def _start(self) -> None:
        self._starting = False
        while len(self._running) < self._max_statements and self._start_one():
            pass

    def _start_one(self) -> bool:
        for lane in self._turns:
            if lane.room and (group := lane.take(self._suspects)):
                self._turns.sort(key=lambda other: other is lane)  # the other one's turn, where both wait
                lane.room -= 1
                self._asked.update(group)
                task = asyncio.create_task(self._run(lane, group), name="realtime statement")
                self._running.add(task)
                task.add_done_callback(self._next)
                return True
        return False

    def _next(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    async def _run(self, lane: _Lane, group: dict[str, _Asked]) -> None:
        try:
            await self._answer(group)
        except EngineError as error:
            metrics.statements.labels("failed").inc()
            log.warning("realtime statement for %d sites failed: %s", len(group), error.detail)
            self._fail(group, error)
        except Exception:
            metrics.statements.labels("failed").inc()
            log.exception("realtime statement for %d sites failed", len(group))
            self._fail(group, EngineError(None, written=False))
        finally:
            lane.room += 1
            for site_id, asked in group.items():
                del self._asked[site_id]
                if asked.later:
                    self._ask(asked.tenant, site_id, asked.later, asked.later_since_s)

    async def _answer(self, group: dict[str, _Asked]) -> None:
        started_s = time.perf_counter()
        metrics.statement_sites.observe(len(group))
        metrics.statement_wait_seconds.observe(started_s - min(asked.since_s for asked in group.values()))
        now = self._clock().replace(microsecond=0)
        parameters = parameters_of(group, now)
        body = await self._engine.fetch(self._statement, parameters)
        answers = _read(body, dict(zip(parameters["sites"], group, strict=True)), now)
        metrics.statements.labels("answered").inc()
        metrics.statement_seconds.observe(time.perf_counter() - started_s)
        answered = 0
        for site_id, rows, text in answers:
            for poll in group[site_id].polls:
                if not poll.done():
                    poll.set_result(text)
                    answered += 1
            if rows > self._shared_max_rows:
                self._suspects[site_id] = 1
            elif site_id in self._suspects:
                del self._suspects[site_id]
        metrics.polls_answered.inc(answered)
        self._deadlines.forget_done()

    def _fail(self, group: dict[str, _Asked], error: EngineError) -> None:
        over_its_sites = error.written is not False
        for site_id, asked in group.items():
            if over_its_sites:
                self._suspects[site_id] = max(1, len(group) // SPLIT)
            if over_its_sites and len(group) > 1:
                asked.later_since_s = asked.since_s
                asked.later.extend(asked.polls)
                continue
            for poll in asked.polls:
                if not poll.done():
                    poll.set_exception(Unavailable())


def parameters_of(site_ids: Iterable[str], now: datetime) -> Parameters:
    """The parameters of sql/realtime.sql; `now` in whole seconds."""
    return {"sites": [site_key(site_id) for site_id in site_ids], "now": now, "oldest": start_of_window(now)}


def _read(body: bytes, asked: Mapping[int, str], now: datetime) -> list[tuple[str, int, bytes]]:
    """The sites, visitor-minutes and answers of a result; `asked` are the sites by their keys.

    Raises EngineError when it does not answer exactly what was asked.
    """
    try:
        result = _decode_result(body)
        found = {int(row.site): row for row in result.data}
        minutes = minutes_of_window(now)
        rows = [(site_id, found.pop(key, NO_VISITORS)) for key, site_id in asked.items()]
        answers = [(site_id, sum(row.per_minute), _encode(_answer(row, minutes, now))) for site_id, row in rows]
    except ValueError:
        raise EngineError(None, detail="the answer is not ClickHouse's") from None
    if found or len(result.data) != result.rows:
        raise EngineError(None, detail="the answer is not whole, or speaks of other sites than were asked for")
    return answers


def _answer(row: _Row, minutes: list[str], now: datetime) -> RealtimeAnswer:
    return RealtimeAnswer(
        active_visitors=row.visitors,
        pageviews_last5_min=row.pageviews,
        page_breakdown=dict(row.pages),
        recent_pageviews=[unpack_pageview(packed) for packed in row.newest],
        visitors_per_minute=[MinuteVisitors(*one) for one in zip(minutes, row.per_minute, strict=True)],
        timestamp=now,
    )
