"""All sites of a tenant at a glance: a statement of its own, shared by all who ask for the same at the same time."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from app.domain.clock import Clock
from app.store.engine import Engine
from app.store.shared import Making, SharedStatements
from app.store.statements import Statement


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
    """The sites of a reach, busiest first, at an instant in whole seconds."""

    sites: list[SiteActivity]
    now: datetime


_ROWS = msgspec.json.Decoder(SiteActivity)


class Overviews:
    """Answers overviews, one statement at a time."""

    def __init__(self, engine: Engine, statements: Mapping[str, Statement], clock: Clock, *, timeout_s: float) -> None:
        self._statement = statements["overview"]
        self._shared = SharedStatements(engine, clock, timeout_s=timeout_s, max_statements=1)

    async def of(self, reach: Reach) -> Overview:
        """Return the overview of a reach. Raises Unavailable when it is not known in time."""

        def make(now: datetime) -> Making[Overview]:
            parameters = {"tenant": reach.tenant, "site_id": reach.site_id, "now": now}
            return Making(self._statement, parameters, lambda body: Overview(_ROWS.decode_lines(body), now))

        return await self._shared.of(reach.tenant, reach, make)
