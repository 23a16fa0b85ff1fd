"""All sites of a tenant at a glance: statements of their own, shared by all who ask for the same at the same time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from app.domain.clock import Clock
from app.domain.realtime import WINDOW_MINUTES, start_of_window
from app.domain.sites import site_key
from app.store.engine import Engine, EngineError
from app.store.reads import MOST_SITES
from app.store.shared import SharedStatements
from app.store.statements import Statement


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
    """The sites of a reach, busiest first, at an instant in whole seconds."""

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


NOBODY = _Row("", 0, 0, (0,) * WINDOW_MINUTES)

_decode = msgspec.json.Decoder(_Result).decode

Divide = Callable[[Sequence[str]], Sequence[tuple[Engine, Sequence[str]]]]
"""Tells which engine is to be asked for which of some sites."""


class _Making(msgspec.Struct, frozen=True):
    """How an overview is made: by a statement for each MOST_SITES sites of each engine."""

    statement: Statement
    parts: Sequence[tuple[Engine, Sequence[str]]]
    now: datetime

    async def ask(self) -> Overview:
        """Return the overview. Raises EngineError, also when a result does not answer what was asked."""
        parts = await asyncio.gather(*(self._read(engine, site_ids) for engine, site_ids in self.parts))
        sites = [site for part in parts for site in part]
        sites.sort(key=lambda site: (-site.active_visitors, -site.pageviews, site.site_id))
        return Overview(sites, self.now)

    async def _read(self, engine: Engine, site_ids: Sequence[str]) -> list[SiteActivity]:
        sites = []
        for first in range(0, len(site_ids), MOST_SITES):
            asked = {site_key(site_id): site_id for site_id in site_ids[first : first + MOST_SITES]}
            parameters = {"sites": list(asked), "now": self.now, "oldest": start_of_window(self.now)}
            body = await engine.fetch(self.statement, parameters)
            try:
                result = _decode(body)
                found = {int(row.site): row for row in result.data}
            except ValueError:
                raise EngineError(None, detail="the answer is not ClickHouse's") from None
            for key, site_id in asked.items():
                row = found.pop(key, NOBODY)
                sites.append(SiteActivity(site_id, row.active_visitors, row.pageviews, row.visitors_per_minute))
            if found or len(result.data) != result.rows:
                raise EngineError(None, detail="the answer is not whole, or speaks of other sites than were asked for")
        return sites


class Overviews:
    """Answers overviews, one at a time."""

    def __init__(self, divide: Divide, statements: Mapping[str, Statement], clock: Clock, *, timeout_s: float) -> None:
        self._divide = divide
        self._statement = statements["overview"]
        self._shared = SharedStatements(clock, timeout_s=timeout_s, max_statements=1)

    async def of(self, reach: Reach, site_ids: Sequence[str]) -> Overview:
        """Return the overview of a reach, which has these sites. Raises Unavailable when it is not known in time."""

        def make(now: datetime) -> _Making:
            return _Making(self._statement, self._divide(site_ids), now)

        return await self._shared.of(reach.tenant, reach, make)


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
