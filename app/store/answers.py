"""Coalesced reads: all sites asked for while statements run go into the next statement."""

import asyncio
import logging
import time
from collections.abc import Mapping

from app.domain import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError
from app.store.statements import Statement

log = logging.getLogger(__name__)

Poll = asyncio.Future[bytes]


class _Asked:
    """A site in a statement, and the polls that wait for its answer."""

    __slots__ = ("polls", "tenant")

    def __init__(self, tenant: str, polls: list[Poll]) -> None:
        self.tenant = tenant
        self.polls = polls


class RealtimeAnswers:
    """Answers polls with as few statements as possible, none of them older than the poll.

    At most `max_statements` run at once. What arrives meanwhile waits; the next statement takes up to `max_sites`
    waiting sites, in turn from each tenant. All polls for one site share the bytes of one answer.

    When a statement fails over its sites (memory, time), they are asked for again in ever smaller groups, so that
    one site that is too large soon fails alone.
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
        self._deadlines = Deadlines(timeout_s)
        self._max_statements = max_statements
        self._max_sites = max_sites
        self._waiting: dict[str, dict[str, list[Poll]]] = {}  # tenant -> site -> polls
        self._suspects: dict[str, int] = {}  # site -> how many sites may share its statement
        self._running: set[asyncio.Task[None]] = set()
        self._starting = False

    async def of(self, tenant: str, site_id: str) -> bytes:
        """Return the realtime answer of a site as JSON. Raises Unavailable when it is not known in time."""
        poll: Poll = self._deadlines.new_future()
        self._ask(tenant, site_id, [poll])
        try:
            return await poll
        except TimeoutError:
            raise Unavailable from None

    def _ask(self, tenant: str, site_id: str, polls: list[Poll]) -> None:
        self._waiting.setdefault(tenant, {}).setdefault(site_id, []).extend(polls)
        if not self._starting and len(self._running) < self._max_statements:
            # Not at once: what arrives in the same turn of the event loop is to travel in the same statement.
            asyncio.get_running_loop().call_soon(self._start)
            self._starting = True

    def _start(self) -> None:
        self._starting = False
        while len(self._running) < self._max_statements and (group := self._take()):
            task = asyncio.create_task(self._answer(group), name="realtime statement")
            self._running.add(task)
            task.add_done_callback(self._next)

    def _next(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    async def _answer(self, group: dict[str, _Asked]) -> None:
        started_s = time.perf_counter()
        metrics.statement_sites.observe(len(group))
        try:
            body = await self._engine.fetch(self._statement, {"sites": list(group), "now": self._clock()})
        except EngineError as error:
            metrics.statements.labels("failed").inc()
            log.warning("realtime statement for %d sites failed: %s", len(group), error.detail)
            self._fail(group, error)
            return
        metrics.statements.labels("answered").inc()
        metrics.statement_seconds.observe(time.perf_counter() - started_s)
        answered = 0
        for line in body.splitlines():
            site_id, _, text = line.partition(b"\t")
            for poll in group[site_id.decode()].polls:
                if not poll.done():
                    poll.set_result(text)
                    answered += 1
        metrics.polls_answered.inc(answered)
        self._deadlines.forget_done()
        self._trust(group)

    def _fail(self, group: dict[str, _Asked], error: EngineError) -> None:
        over_its_sites = error.code is not None and error.written is not False and len(group) > 1
        for site_id, asked in group.items():
            if over_its_sites:
                self._suspects[site_id] = len(group) // 2
                self._ask(asked.tenant, site_id, asked.polls)
            else:
                for poll in asked.polls:
                    if not poll.done():
                        poll.set_exception(Unavailable())

    def _trust(self, group: dict[str, _Asked]) -> None:
        for site_id in self._suspects.keys() & group.keys():
            self._suspects[site_id] *= 2
            if self._suspects[site_id] >= self._max_sites:
                del self._suspects[site_id]

    def _take(self) -> dict[str, _Asked]:
        """Take up to max_sites waiting sites: one of each tenant in turn, so that a large tenant starves nobody.

        Sites whose polls have all given up are dropped.
        """
        group: dict[str, _Asked] = {}
        room, progress = self._max_sites, True
        while progress and len(group) < room:
            progress = False
            for tenant, sites in list(self._waiting.items()):
                site_id = next(iter(sites))
                room_with_it = min(room, self._suspects.get(site_id, room))
                if len(group) >= room_with_it:
                    continue  # it leads a later statement
                room, progress = room_with_it, True
                polls = sites.pop(site_id)
                del self._waiting[tenant]
                if sites:
                    self._waiting[tenant] = sites  # behind the other tenants
                if any(not poll.done() for poll in polls):
                    group[site_id] = _Asked(tenant, polls)
        return group
