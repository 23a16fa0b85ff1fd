"""All sites of a tenant at a glance: a statement of its own, shared by all who ask for the same at the same time."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from app import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError
from app.store.statements import Statement

log = logging.getLogger(__name__)


class Reach(NamedTuple):
    """Which sites a key reaches: those of a tenant, or the one of them that it is bound to."""

    tenant: str
    site_id: str
    """Empty for every site of the tenant."""


class SiteActivity(msgspec.Struct, frozen=True, array_like=True):
    """What overview.sql says of a site: numbers of the window of the realtime answer."""

    site_id: str
    active_visitors: int
    pageviews: int
    visitors_per_minute: tuple[int, ...]


class Overview(NamedTuple):
    """The sites of a reach, busiest first, at an instant."""

    sites: list[SiteActivity]
    now: datetime


_ROWS = msgspec.json.Decoder(SiteActivity)


class Overviews:
    """Answers overviews, none by a statement that started before it was asked for.

    One statement runs at a time. Who asks for a reach while it runs waits for the reach's next one; reaches take turns
    in the order in which they were asked for.
    """

    def __init__(self, engine: Engine, statements: Mapping[str, Statement], clock: Clock, *, timeout_s: float) -> None:
        self._engine = engine
        self._statement = statements["overview"]
        self._clock = clock
        self._deadlines = Deadlines(timeout_s)
        self._waiting: dict[Reach, list[asyncio.Future[Overview]]] = {}
        self._running: asyncio.Task[None] | None = None

    async def of(self, reach: Reach) -> Overview:
        """Return the overview of a reach. Raises Unavailable when it is not known in time."""
        answer: asyncio.Future[Overview] = self._deadlines.new_future()
        self._waiting.setdefault(reach, []).append(answer)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="overviews")
        try:
            return await answer
        except TimeoutError:
            raise Unavailable from None

    async def _run(self) -> None:
        try:
            while self._waiting:
                reach = next(iter(self._waiting))
                answers = self._waiting.pop(reach)
                if not all(answer.done() for answer in answers):
                    await self._answer(reach, answers)
        finally:
            self._running = None

    async def _answer(self, reach: Reach, answers: list[asyncio.Future[Overview]]) -> None:
        now = self._clock()
        parameters = {"tenant": reach.tenant, "site_id": reach.site_id, "now": now}
        try:
            rows = _ROWS.decode_lines(await self._engine.fetch(self._statement, parameters))
        except Exception as error:
            metrics.overviews.labels("failed").inc()
            log.warning("overview failed: %s", error.detail if isinstance(error, EngineError) else repr(error))
            for answer in answers:
                if not answer.done():
                    answer.set_exception(Unavailable())
            return
        metrics.overviews.labels("answered").inc()
        for answer in answers:
            if not answer.done():
                answer.set_result(Overview(rows, now))
        self._deadlines.forget_done()
