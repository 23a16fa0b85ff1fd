"""Group commit: signals that arrive while an INSERT runs travel together in the next one."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping

from app.domain import metrics
from app.domain.errors import CommitUnclear, Unavailable
from app.store.deadlines import Deadlines
from app.store.engine import Engine, EngineError
from app.store.statements import Statement

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.05
RETRY_MOST_S = 1.0

ENOUGH_SIGNALS = 500
"""So many are worth an INSERT of their own, whenever the last one was."""


class _Waiting:
    """The rows of one request, and the future that its caller awaits."""

    __slots__ = ("count", "done", "rows", "taken")

    def __init__(self, rows: bytes, count: int, done: asyncio.Future[None]) -> None:
        self.rows = rows
        self.count = count
        self.done = done
        self.taken = False


class GroupCommit:
    """Inserts the signals of many requests with one INSERT at a time, and answers each when its INSERT has committed.

    While signals keep coming, INSERTs begin `interval_s` apart: each makes ClickHouse write and merge parts, which
    costs it more than the rows. A signal after a pause, and ENOUGH_SIGNALS at any time, do not wait for that.

    A request is never split over two INSERTs. An INSERT whose outcome is unclear is repeated with the same token until
    it is known (docs/decisions/0003), even when its callers have been told 503 by then.
    """

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        *,
        timeout_s: float,
        interval_s: float,
        max_group_signals: int,
        max_queue_signals: int,
    ) -> None:
        self._engine = engine
        self._insert = statements["track/insert_signals"]
        self._deadlines = Deadlines(timeout_s)
        self._max_group = max_group_signals
        self._max_queue = max_queue_signals
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._interval_s = interval_s
        self._inserted_s = -interval_s  # when the last INSERT began
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.queued = 0
        """Signals that wait for an INSERT or are in the running one."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group commit")

    async def commit(self, rows: bytes, count: int) -> None:
        """Return when the rows (JSON lines of table signals) are committed.

        Raises Unavailable when the queue is full, the service stops, or no INSERT took the rows in time: then they are
        not stored. Raises CommitUnclear when the INSERT that took them is not known to have committed in time.
        """
        if self._closing or self.queued + count > self._max_queue:
            raise Unavailable
        waiting = _Waiting(rows, count, self._deadlines.new_future())
        self._waiting.append(waiting)
        self.queued += count
        self._arrived.set()
        if self.queued >= ENOUGH_SIGNALS:
            self._enough.set()
        try:
            await waiting.done
        except TimeoutError:
            raise (CommitUnclear if waiting.taken else Unavailable) from None

    async def close(self, timeout_s: float) -> None:
        """Accept nothing more, commit what is queued, and stop; give up after `timeout_s`."""
        self._closing = True
        self._arrived.set()
        self._enough.set()
        if self._task:
            await asyncio.wait([self._task], timeout=timeout_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._gather()
            group = self._take()
            if group:
                await self._commit(group)
                self.queued -= sum(waiting.count for waiting in group)
            elif self._closing:
                return
            else:
                self._arrived.clear()

    async def _gather(self) -> None:
        """Let signals come together until the next INSERT may begin. No INSERT runs meanwhile."""
        wait_s = self._inserted_s + self._interval_s - time.monotonic()
        if wait_s > 0 and self.queued < ENOUGH_SIGNALS and not self._closing:
            self._enough.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), wait_s)
        self._inserted_s = time.monotonic()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + self._waiting[0].count <= self._max_group):
            waiting = self._waiting.popleft()
            if waiting.done.done():  # its caller was told 503; nothing of it was sent
                self.queued -= waiting.count
            else:
                waiting.taken = True
                group.append(waiting)
                size += waiting.count
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        token = uuid.uuid4().hex
        rows = b"".join([waiting.rows for waiting in group])
        maybe_written = False
        pause_s = RETRY_FIRST_S
        while True:
            started_s = time.perf_counter()
            try:
                await self._engine.execute(self._insert, {"token": token}, rows)
            except EngineError as error:
                metrics.inserts.labels("failed").inc()
                maybe_written = maybe_written or error.written is None
                unwanted = all(waiting.done.done() for waiting in group)
                if error.bad_rows or (unwanted and not maybe_written):
                    log.error("%d signals were not stored: %s", sum(w.count for w in group), error.detail)
                    self._answer(group, error)
                    return
                log.warning("INSERT failed, trying again with the same token: %s", error.detail)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_MOST_S)
            else:
                metrics.inserts.labels("committed").inc()
                metrics.insert_seconds.observe(time.perf_counter() - started_s)
                metrics.signals_committed.inc(sum(waiting.count for waiting in group))
                self._answer(group, None)
                self._deadlines.forget_done()
                return

    @staticmethod
    def _answer(group: list[_Waiting], error: EngineError | None) -> None:
        for waiting in group:
            if not waiting.done.done():
                if error:
                    waiting.done.set_exception(error)
                else:
                    waiting.done.set_result(None)
