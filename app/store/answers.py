"""Coalesced reads: all sites asked for while statements run go into the next statement."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from app.domain.clock import Clock
from app.store.engine import Engine
from app.store.statements import Statement

log = logging.getLogger(__name__)

Poll = asyncio.Future[bytes]
Polls = dict[str, list[Poll]]
"""The polls that wait for each site's answer."""


class RealtimeAnswers:
    """Answers polls with as few statements as possible, none of them older than the poll.

    At most `max_statements` run at once. What arrives meanwhile waits; the next statement takes up to `max_sites`
    waiting sites, in turn from each tenant. All polls for one site are answered with the same bytes.
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
    ) -> None:
        self._engine = engine
        self._statement = statements["realtime"]
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_statements = max_statements
        self._max_sites = max_sites
        self._waiting: dict[str, Polls] = {}  # tenant -> site -> polls
        self._tenants: dict[str, str] = {}  # site -> tenant, of the sites in `_suspects`
        self._suspects: dict[str, int] = {}  # site -> with how many sites it may share a statement
        self._running: set[asyncio.Task[None]] = set()
        self._start_is_due = False
        self._deadlines: deque[tuple[float, Poll]] = deque()  # in the order of time: every poll may wait equally long
        self._alarm: asyncio.TimerHandle | None = None

    async def of(self, tenant: str, site_id: str) -> bytes:
        """Return the realtime answer of a site as JSON. Raises Unavailable when it is not known in time."""
        loop = asyncio.get_running_loop()
        poll: Poll = loop.create_future()
        deadline_s = loop.time() + self._timeout_s
        self._deadlines.append((deadline_s, poll))
        if self._alarm is None:
            self._alarm = loop.call_at(deadline_s, self._give_up)
        self._waiting.setdefault(tenant, {}).setdefault(site_id, []).append(poll)
        self._start_soon()
        return await poll
