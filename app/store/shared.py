"""Statements shared by those who ask the same at the same time: for what is asked less often than a poll."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from app import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError, Parameters
from app.store.statements import Statement

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Made = TypeVar("Made", covariant=True)


class Making(Protocol[Made]):
    """How an answer is made."""

    @property
    def statement(self) -> Statement: ...

    async def ask(self) -> Made:
        """Return the answer. Raises whatever goes wrong."""
        ...


class MakingOne(msgspec.Struct, Generic[Answer], frozen=True):
    """One statement with its parameters, and what makes the answer of its result."""

    engine: Engine
    statement: Statement
    parameters: Parameters
    answer: Callable[[bytes], Answer]

    async def ask(self) -> Answer:
        """Return the answer. Raises EngineError, or what `answer` raises."""
        return self.answer(await self.engine.fetch(self.statement, self.parameters))


class _Asked(Generic[Answer]):
    """A question that waits for its statement, and who waits for its answer."""

    __slots__ = ("make", "waiting")

    def __init__(self, make: Callable[[datetime], Making[Answer]]) -> None:
        self.make = make
        self.waiting: list[asyncio.Future[Answer]] = []


class SharedStatements:
    """Answers questions with at most `max_statements` at once, by none that started before the question.

    The same questions that wait at the same time share one statement. Tenants take turns: many questions of one do not
    hold up another.
    """

    def __init__(self, clock: Clock, *, timeout_s: float, max_statements: int) -> None:
        self._clock = clock
        self._deadlines = Deadlines(timeout_s)
        self._room = max_statements
        self._asked: dict[str, dict[object, _Asked[Any]]] = {}  # tenant -> question
        self._running: set[asyncio.Task[None]] = set()

    async def of(self, tenant: str, question: object, make: Callable[[datetime], Making[Answer]]) -> Answer:
        """Return the answer to a question, made as of when its statement starts, in whole seconds.

        Raises Unavailable when it is not known in time.
        """
        waiting: asyncio.Future[Answer] = self._deadlines.new_future()
        self._asked.setdefault(tenant, {}).setdefault(question, _Asked(make)).waiting.append(waiting)
        self._start()
        try:
            return await waiting
        except TimeoutError:
            raise Unavailable from None

    def _start(self) -> None:
        while self._room and (asked := self._take()):
            self._room -= 1
            task = asyncio.create_task(self._run(asked), name="shared statement")
            self._running.add(task)
            task.add_done_callback(self._next)

    def _take(self) -> _Asked[Any] | None:
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

    async def _run(self, asked: _Asked[Any]) -> None:
        making = asked.make(self._clock().replace(microsecond=0))
        name = making.statement.name
        try:
            answer = await making.ask()
        except Exception as error:
            metrics.report_statements.labels(name, "failed").inc()
            if isinstance(error, EngineError):
                log.warning("statement %s failed: %s", name, error.detail)
            else:
                log.exception("statement %s failed", name)
            _end(asked.waiting, lambda future: future.set_exception(Unavailable()))
        else:
            metrics.report_statements.labels(name, "answered").inc()
            _end(asked.waiting, lambda future: future.set_result(answer))
        self._deadlines.forget_done()


def _end(waiting: list[asyncio.Future[Answer]], how: Callable[[asyncio.Future[Answer]], None]) -> None:
    for future in waiting:
        if not future.done():
            how(future)
