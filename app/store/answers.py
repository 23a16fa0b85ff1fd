"""Coalesced reads: all sites asked for while statements run go into the next statement."""

import asyncio
import logging
import time
from collections.abc import Mapping

from app.domain import metrics
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.engine import Engine, EngineError
from app.store.statements import Statement

log = logging.getLogger(__name__)

Answers = dict[str, "asyncio.Future[bytes]"]


class RealtimeAnswers:
    """Answers polls with as few statements as possible, none of them older than the poll.

    At most `max_statements` run at once. What arrives meanwhile waits; the next statement takes up to `max_sites`
    waiting sites, in turn from each tenant. Polls for one site share one future, and so the bytes of one answer.
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
        self._waiting: dict[str, Answers] = {}  # tenant -> site -> answer
        self._running: set[asyncio.Task[None]] = set()

    async def of(self, tenant: str, site_id: str) -> bytes:
        """Return the realtime answer of a site as JSON. Raises Unavailable when it is not known in time."""
        sites = self._waiting.setdefault(tenant, {})
        answer = sites.get(site_id)
        if answer is None:
            answer = sites[site_id] = asyncio.get_running_loop().create_future()
            self._start()
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await asyncio.shield(answer)
        except TimeoutError:
            raise Unavailable from None
        metrics.polls_answered.inc()
        return body

    def _start(self) -> None:
        if self._waiting and len(self._running) < self._max_statements:
            task = asyncio.create_task(self._answer(), name="realtime statement")
            self._running.add(task)
            task.add_done_callback(self._next)

    def _next(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    async def _answer(self) -> None:
        answers = self._take()
        started_s = time.perf_counter()
        metrics.statement_sites.observe(len(answers))
        try:
            body = await self._engine.fetch(self._statement, {"sites": list(answers), "now": self._clock()})
        except EngineError as error:
            metrics.statements.labels("failed").inc()
            log.warning("realtime statement for %d sites failed: %s", len(answers), error.detail)
            for answer in answers.values():
                answer.set_exception(error)
                answer.exception()  # a caller whose time was up does not look at it any more
            return
        metrics.statements.labels("answered").inc()
        metrics.statement_seconds.observe(time.perf_counter() - started_s)
        for line in body.splitlines():
            site_id, _, text = line.partition(b"\t")
            answers[site_id.decode()].set_result(text)

    def _take(self) -> Answers:
        """Take up to max_sites waiting sites: one of each tenant in turn, so that a large tenant starves nobody."""
        taken: Answers = {}
        while self._waiting and len(taken) < self._max_sites:
            for tenant in list(self._waiting):
                site_id = next(iter(self._waiting[tenant]))
                taken[site_id] = self._waiting[tenant].pop(site_id)
                if not self._waiting[tenant]:
                    del self._waiting[tenant]
                if len(taken) == self._max_sites:
                    break
        return taken
