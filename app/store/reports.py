"""Breakdowns and histories: dearer than a poll, so they have statements of their own and never delay one."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.domain.realtime import BreakdownAnswer, Dimension, HistoryAnswer, Point, Share, peak_of, start_of_minute
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError, Parameters
from app.store.statements import Statement

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_decode_breakdown = msgspec.json.Decoder(tuple[int, int, list[tuple[str, int, int]]]).decode
_decode_points = msgspec.json.Decoder(tuple[int, int, int, int]).decode_lines


class _Asked:
    """A question that waits for its statement, and who waits for its answer."""

    __slots__ = ("make", "waiting")

    def __init__(self, make: Callable[[datetime], "_Making"]) -> None:
        self.make = make
        self.waiting: list[asyncio.Future[bytes]] = []


class _Making(msgspec.Struct, frozen=True):
    """A statement with its parameters, and what makes the answer of its result."""

    statement: Statement
    parameters: Parameters
    answer: Callable[[bytes], bytes]


class Reports:
    """Answers with at most `max_statements` at once, none of them older than the request.

    Requests for the same that wait at the same time share one statement. Tenants take turns: many questions of one do
    not hold up another.
    """

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        clock: Clock,
        *,
        timeout_s: float,
        max_statements: int,
    ) -> None:
        self._engine = engine
        self._breakdown = statements["breakdown"]
        self._history = statements["history"]
        self._clock = clock
        self._deadlines = Deadlines(timeout_s)
        self._room = max_statements
        self._asked: dict[str, dict[object, _Asked]] = {}  # tenant -> question
        self._running: set[asyncio.Task[None]] = set()

    async def breakdown(self, tenant: str, site_id: str, by: Dimension, filters: Mapping[Dimension, str]) -> bytes:
        """The active visitors of a site by a dimension, those whose values match, as JSON.

        A filter is a value, empty for none, or a beginning and a `*`. Raises Unavailable when not known in time.
        """
        names, patterns = list(filters), list(filters.values())

        def make(now: datetime) -> _Making:
            def answer(body: bytes) -> bytes:
                visitors, pageviews, shares = _decode_breakdown(body)
                breakdown = [Share(value or None, *numbers) for value, *numbers in shares]
                return msgspec.json.encode(BreakdownAnswer(by, visitors, pageviews, breakdown, now))

            parameters = {"site": site_id, "now": now, "by": by, "names": names, "patterns": patterns}
            return _Making(self._breakdown, parameters, answer)

        return await self._of(tenant, (site_id, by, *names, *patterns), make)

    async def history(self, tenant: str, site_id: str, minutes: int, days_ago: int = 0) -> bytes:
        """How the live number of a site went in so many minutes, as JSON. Raises Unavailable.

        They end with the minute in progress, or that of the same time some days ago, which is over and whole.
        """

        def make(now: datetime) -> _Making:
            def answer(body: bytes) -> bytes:
                points = [
                    Point(datetime.fromtimestamp(seconds, UTC), *numbers) for seconds, *numbers in _decode_points(body)
                ]
                if [point.minute for point in points] != [first + timedelta(minutes=n) for n in range(minutes)]:
                    raise ValueError("other minutes than were asked for")
                return msgspec.json.encode(HistoryAnswer(points, peak_of(points), now))

            last = start_of_minute(now) - timedelta(days=days_ago)
            first = last - timedelta(minutes=minutes - 1)
            # Past minutes have nothing that is stamped ahead of them.
            parameters = {"site": site_id, "first": first, "now": last if days_ago else now}
            return _Making(self._history, parameters, answer)

        return await self._of(tenant, (site_id, minutes, days_ago), make)

    async def _of(self, tenant: str, question: object, make: Callable[[datetime], _Making]) -> bytes:
        waiting: asyncio.Future[bytes] = self._deadlines.new_future()
        self._asked.setdefault(tenant, {}).setdefault(question, _Asked(make)).waiting.append(waiting)
        self._start()
        try:
            return await waiting
        except TimeoutError:
            raise Unavailable from None

    def _start(self) -> None:
        while self._room and (asked := self._take()):
            self._room -= 1
            task = asyncio.create_task(self._run(asked), name="report")
            self._running.add(task)
            task.add_done_callback(self._next)

    def _take(self) -> _Asked | None:
        """The oldest question of the tenant whose turn it is; those that nobody waits for any more are dropped."""
        while self._asked:
            tenant, questions = next(iter(self._asked.items()))
            asked = questions.pop(next(iter(questions)))
            del self._asked[tenant]
            if questions:
                self._asked[tenant] = questions  # behind the other tenants
            if any(not waiting.done() for waiting in asked.waiting):
                return asked
        return None

    def _next(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._room += 1
        self._start()

    async def _run(self, asked: _Asked) -> None:
        try:
            making = asked.make(self._clock().replace(microsecond=0))
            answer = making.answer(await self._engine.fetch(making.statement, making.parameters))
        except EngineError as error:
            log.warning("statement for a report failed: %s", error.detail)
            self._end(asked, None)
        except Exception:
            log.exception("statement for a report failed")
            self._end(asked, None)
        else:
            self._end(asked, answer)

    def _end(self, asked: _Asked, answer: bytes | None) -> None:
        for waiting in asked.waiting:
            if waiting.done():
                continue
            if answer is None:
                waiting.set_exception(Unavailable())
            else:
                waiting.set_result(answer)
        self._deadlines.forget_done()
