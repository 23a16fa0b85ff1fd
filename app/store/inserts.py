"""Group commit: signals that arrive while an INSERT runs travel together in the next one."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping

from app import metrics
from app.domain.errors import CommitUnclear, Unavailable
from app.store.deadlines import Deadlines
from app.store.engine import STILL_RUNNING, Engine, EngineError
from app.store.statements import Statement

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.05
RETRY_MOST_S = 1.0

APART = 3
"""INSERTs begin so many times as long apart as the last one took: a worker keeps ClickHouse inserting a third of it."""

ENOUGH_SIGNALS = 500
"""So many are worth an INSERT of their own, whenever the last one was."""


class _Waiting:
    """The rows of one request, and the future that its caller awaits."""

    __slots__ = ("count", "done", "left", "maybe_written", "rows", "since_s", "token")

    def __init__(self, rows: bytes, count: int, done: asyncio.Future[None], token: str | None) -> None:
        self.rows = rows
        self.count = count
        self.done = done
        self.token = token
        self.since_s = time.perf_counter()
        self.maybe_written = False
        self.left = False
        """Its caller was told that this is unclear."""


class GroupCommit:
    """Inserts the signals of many requests with one INSERT at a time, and answers each when its INSERT has committed.

    While signals keep coming, INSERTs begin APART times as long apart as the last one took, at most `interval_s`: each
    makes ClickHouse write and merge parts, which costs it more than the rows, and takes the longer the more else it has
    to do. A signal after a pause, and ENOUGH_SIGNALS at any time, do not wait for that.

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
        insert_timeout_s: float,
        insert_timeout_max_s: float,
        max_group_signals: int,
        max_group_bytes: int,
        max_queue_signals: int,
        max_queue_bytes: int,
    ) -> None:
        self._engine = engine
        self._insert = statements["track/insert_signals"]
        self._deadlines = Deadlines(timeout_s)
        self._max_group = max_group_signals
        self._max_group_bytes = max_group_bytes
        self._max_queue = max_queue_signals
        self._max_queue_bytes = max_queue_bytes
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._interval_s = interval_s
        self._inserted_s = float("-inf")  # when the last INSERT began
        self._took_s = 0.0
        self._insert_timeout_s = self._insert_timeout_first_s = insert_timeout_s
        self._insert_timeout_max_s = max(insert_timeout_s, insert_timeout_max_s)
        self._pause_s = RETRY_FIRST_S
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.queued = 0
        """Signals that wait for an INSERT or are in the running one."""
        self.queued_bytes = 0
        """Bytes of their rows."""

    def start(self) -> asyncio.Task[None]:
        """Begin to commit, in a task that ends with close() alone."""
        metrics.workers_started.inc()
        metrics.queue_max_signals.set(self._max_queue)
        self._task = asyncio.create_task(self._run(), name="group commit")
        return self._task

    async def commit(self, rows: bytes, count: int, token: str | None = None) -> None:
        """Return when the rows (JSON lines of table signals) are committed.

        A token given stands for the rows: while ClickHouse remembers it, they are stored once. With tokens a group
        must not be of more than one request (`max_group_signals` 1).

        Raises Unavailable when the queue is full, the service stops, or no INSERT took the rows in time: then they are
        not stored. Raises CommitUnclear when an INSERT with them was sent and is not known to have committed in time.
        """
        if not count:
            return
        full = self.queued + count > self._max_queue or self.queued_bytes + len(rows) > self._max_queue_bytes
        ended = self._task is not None and self._task.done()
        if self._closing or full or ended:
            raise Unavailable
        waiting = _Waiting(rows, count, self._deadlines.new_future(), token)
        self._waiting.append(waiting)
        self._count(waiting, +1)
        self._arrived.set()
        if self.queued >= ENOUGH_SIGNALS:
            self._enough.set()
        try:
            await waiting.done
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiting.maybe_written:
                waiting.left = True
            else:
                self._leave(waiting)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise (CommitUnclear if waiting.maybe_written else Unavailable) from None

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
            elif self._closing:
                return
            else:
                self._arrived.clear()

    async def _gather(self) -> None:
        """Let signals come together until the next INSERT may begin. No INSERT runs meanwhile."""
        wait_s = self._inserted_s + min(APART * self._took_s, self._interval_s) - time.monotonic()
        if wait_s > 0 and self.queued < ENOUGH_SIGNALS and not self._closing:
            self._enough.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), wait_s)
        self._inserted_s = time.monotonic()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        signals = size = 0
        while self._waiting:
            waiting = self._waiting[0]
            if waiting.done.done():  # its caller is about to leave
                self._waiting.popleft()
                continue
            signals += waiting.count
            size += len(waiting.rows)
            if group and (signals > self._max_group or size > self._max_group_bytes):
                break
            group.append(self._waiting.popleft())
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        """Insert a group and answer its callers; where certainly nothing was stored, put it back for another time."""
        token = group[0].token or uuid.uuid4().hex
        rows = b"".join([waiting.rows for waiting in group])
        maybe_written = False
        metrics.commit_wait_seconds.observe(time.perf_counter() - group[0].since_s)
        while True:
            started_s = time.perf_counter()
            self._mark(group, True)
            error = await self._try_insert(token, rows)
            took_s = time.perf_counter() - started_s
            if error is None:
                metrics.inserts.labels("committed").inc()
                metrics.insert_seconds.observe(took_s)
                self._took_s = took_s
                metrics.signals_committed.inc(sum(waiting.count for waiting in group))
                # What one INSERT needed, the next may need as well.
                self._insert_timeout_s = self._bounded(2 * took_s)
                self._pause_s = RETRY_FIRST_S
                self._finish(group, None)
                self._deadlines.forget_done()
                return
            metrics.inserts.labels("failed").inc()
            if error.bad_rows:
                log.error("%d signals were not stored: %s", sum(w.count for w in group), error.detail)
                self._finish(group, error)
                return
            if error.timed_out:
                self._insert_timeout_s = self._bounded(2 * self._insert_timeout_s)
            maybe_written = maybe_written or error.written is None
            self._mark(group, maybe_written)
            if not maybe_written:
                log.warning("INSERT failed, its signals wait for another: %s", error.detail)
                self._put_back(group)
            elif error.code == STILL_RUNNING:
                log.info("INSERT still runs, asking again with the same token")
            else:
                log.warning("INSERT failed, trying again with the same token: %s", error.detail)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, RETRY_MOST_S)
            if not maybe_written:
                return

    async def _try_insert(self, token: str, rows: bytes) -> EngineError | None:
        """Send the INSERT once and return what went wrong. Its token is its id, so ClickHouse never runs it twice."""
        try:
            await self._engine.execute(
                self._insert, {"token": token}, rows, query_id=token, timeout_s=self._insert_timeout_s
            )
        except EngineError as error:
            return error
        except Exception as error:
            # Whatever it is, signals go on: their writer must not end with it.
            log.exception("unexpected error in an INSERT")
            return EngineError(None, detail=repr(error))
        return None

    def _put_back(self, group: list[_Waiting]) -> None:
        """Have a group wait again that certainly was not stored, but for those of it whose callers have left."""
        for waiting in reversed(group):
            if waiting.left:
                self._count(waiting, -1)
            else:
                self._waiting.appendleft(waiting)

    def _leave(self, waiting: _Waiting) -> None:
        """Let go of the rows of a caller who was not served, so that they are not stored later."""
        self._count(waiting, -1)
        with contextlib.suppress(ValueError):
            self._waiting.remove(waiting)  # cheap: who waits longest is in front

    def _bounded(self, timeout_s: float) -> float:
        return min(max(timeout_s, self._insert_timeout_first_s), self._insert_timeout_max_s)

    def _count(self, waiting: _Waiting, sign: int) -> None:
        self.queued += sign * waiting.count
        self.queued_bytes += sign * len(waiting.rows)
        metrics.signals_queued.inc(sign * waiting.count)

    @staticmethod
    def _mark(group: list[_Waiting], maybe_written: bool) -> None:
        for waiting in group:
            waiting.maybe_written = maybe_written

    def _finish(self, group: list[_Waiting], error: EngineError | None) -> None:
        for waiting in group:
            self._count(waiting, -1)
            if waiting.done.done():
                continue
            if error:
                waiting.done.set_exception(error)
            else:
                waiting.done.set_result(None)
