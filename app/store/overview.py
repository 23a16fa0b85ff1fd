"""All sites of a tenant at a glance: statements of their own, shared by all who ask for the same at the same time."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from app import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.domain.realtime import WINDOW_MINUTES, start_of_window
from app.domain.sites import site_key
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError
from app.store.reads import MOST_SITES
from app.store.statements import Statement

log = logging.getLogger(__name__)


class Reach(NamedTuple):
    """Which sites a key reaches: those of a tenant, or the one of them that it is bound to."""

    tenant: str
    site_id: str
    """Empty for every site of the tenant."""


class SiteActivity(NamedTuple):
    """What is known of a site: numbers of the window of the realtime answer."""

    site_id: str
    active_visitors: int
    pageviews: int
    visitors_per_minute: tuple[int, ...]


class Overview(NamedTuple):
    """The sites of a reach, busiest first, at an instant."""

    sites: list[SiteActivity]
    now: datetime


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What sql/overview.sql returns of a site with visitors."""

    site: str
    active_visitors: int
    pageviews: int
    visitors_per_minute: tuple[int, ...]


class _Result(msgspec.Struct, frozen=True):
    data: list[_Row]
    rows: int


_decode = msgspec.json.Decoder(_Result).decode

Divide = Callable[[Sequence[str]], Sequence[tuple[Engine, Sequence[str]]]]
"""Tells which engine is to be asked for which of some sites."""


class Overviews:
    """Answers overviews, none by a statement that started before it was asked for.

    One runs at a time, a statement for each MOST_SITES sites. Who asks for a reach while it runs waits for the reach's
    next one; reaches take turns in the order in which they were asked for.
    """

    def __init__(self, divide: Divide, statements: Mapping[str, Statement], clock: Clock, *, timeout_s: float) -> None:
        self._divide = divide
        self._statement = statements["overview"]
        self._clock = clock
        self._deadlines = Deadlines(timeout_s)
        self._waiting: dict[Reach, tuple[Sequence[str], list[asyncio.Future[Overview]]]] = {}
        self._running: asyncio.Task[None] | None = None

    async def of(self, reach: Reach, site_ids: Sequence[str]) -> Overview:
        """Return the overview of a reach, which has these sites. Raises Unavailable when it is not known in time."""
        answer: asyncio.Future[Overview] = self._deadlines.new_future()
        _, answers = self._waiting.get(reach, ((), []))
        self._waiting[reach] = (site_ids, [*answers, answer])  # the sites as they are known last
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
                site_ids, answers = self._waiting.pop(reach)
                if not all(answer.done() for answer in answers):
                    await self._answer(site_ids, answers)
        finally:
            self._running = None

    async def _answer(self, site_ids: Sequence[str], answers: list[asyncio.Future[Overview]]) -> None:
        now = self._clock()
        try:
            parts = await asyncio.gather(*(self._read(*part, now) for part in self._divide(site_ids)))
        except Exception as error:
            metrics.overviews.labels("failed").inc()
            log.warning("overview failed: %s", error.detail if isinstance(error, EngineError) else repr(error))
            for answer in answers:
                if not answer.done():
                    answer.set_exception(Unavailable())
            return
        metrics.overviews.labels("answered").inc()
        sites = [site for part in parts for site in part]
        sites.sort(key=lambda site: (-site.active_visitors, -site.pageviews, site.site_id))
        for answer in answers:
            if not answer.done():
                answer.set_result(Overview(sites, now))
        self._deadlines.forget_done()

    async def _read(self, engine: Engine, site_ids: Sequence[str], now: datetime) -> list[SiteActivity]:
        """What these sites do. Raises EngineError, also when the result does not answer what was asked."""
        sites = []
        for first in range(0, len(site_ids), MOST_SITES):
            asked = {site_key(site_id): site_id for site_id in site_ids[first : first + MOST_SITES]}
            parameters = {"sites": list(asked), "now": now, "oldest": start_of_window(now)}
            body = await engine.fetch(self._statement, parameters)
            try:
                result = _decode(body)
                found = {int(row.site): row for row in result.data}
            except ValueError:
                raise EngineError(None, detail="the answer is not ClickHouse's") from None
            for key, site_id in asked.items():
                row = found.pop(key, None)
                numbers = (row.active_visitors, row.pageviews, row.visitors_per_minute) if row else NOBODY
                sites.append(SiteActivity(site_id, *numbers))
            if found or len(result.data) != result.rows:
                raise EngineError(None, detail="the answer is not whole, or speaks of other sites than were asked for")
        return sites


NOBODY = (0, 0, (0,) * WINDOW_MINUTES)


class OverviewsByShard:
    """Overviews of a cluster: those that need the same shards take turns, so that a dead shard costs no other."""

    def __init__(self, make: Callable[[], Overviews], shards_of: Callable[[Sequence[str]], frozenset[int]]) -> None:
        self._make = make
        self._shards_of = shards_of
        self._overviews: dict[frozenset[int], Overviews] = {}

    async def of(self, reach: Reach, site_ids: Sequence[str]) -> Overview:
        """Return the overview of a reach, which has these sites. Raises Unavailable when it is not known in time."""
        shards = self._shards_of(site_ids)
        if shards not in self._overviews:
            self._overviews[shards] = self._make()
        return await self._overviews[shards].of(reach, site_ids)
