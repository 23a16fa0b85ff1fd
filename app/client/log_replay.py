"""Replays a log: reads its page loads, waits until each is due, and hands them to a sender in batches."""

import asyncio
import time
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.client.access_log import PageLoad, read_line
from app.client.log_source import Source
from app.client.sender import Encoded, Sender, Tally, encode_signal, pause

BATCH_MAX_SIGNALS = 500
BATCH_MAX_BYTES = 262_144
"""A quarter of what the service takes unless set otherwise; a signal that is larger by itself travels alone."""
REQUESTS_AT_ONCE = 4
LINGER_S = 0.1
"""How long a signal may wait for others to travel with it."""
GRACE_S = 5.0
"""How long requests under way may take to be answered after the end is asked for."""
GAP_MAX = timedelta(hours=1)
"""Of the log's time, between two lines: a longer gap is an odd clock or nothing that anybody would wait for."""

Queue = asyncio.Queue[Sequence[Encoded] | None]


class Pace:
    """When each page load of a log is due, `speed` times as fast as it was logged."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_s = 0.0
        self._previous: datetime | None = None
        self._elapsed = self._furthest = timedelta()

    def due_s(self, logged: datetime) -> float:
        """Return the time.monotonic() at which to send; never before that of the line above it.

        Servers write a line when the request ends, so times in a log go back and forth a little. A line over GAP_MAX
        from the one above, forward or back, is due at once, and the next line counts from it: one that is dated 9999
        changes nothing for the others, and nights are skipped.
        """
        if self._previous is None:
            self._began_s, self._previous = time.monotonic(), logged
        step = logged - self._previous
        self._previous = logged
        if abs(step) <= GAP_MAX:
            self._elapsed += step
            self._furthest = max(self._furthest, self._elapsed)
        return self._began_s + self._furthest.total_seconds() / self._speed


async def replay_log(
    source: Source, sender: Sender, pace: Pace | None, tally: Tally, stop: asyncio.Event
) -> str | None:
    """Send the page loads of a log, as fast as it goes without a pace, until its end or `stop`.

    Returns what is wrong with the log, where it cannot be read to its end.
    """
    began_s = time.monotonic()
    # One batch waits, one is being read, and each worker has one: memory does not grow with the log.
    queue: Queue = asyncio.Queue(maxsize=1)
    reading = asyncio.create_task(_Reader(source, queue, pace, tally, stop).run())
    workers = [asyncio.create_task(_work(queue, sender, tally, stop)) for _ in range(REQUESTS_AT_ONCE)]
    stopped = asyncio.create_task(stop.wait())
    tasks = {reading, *workers}
    while not stopped.done() and any(not task.done() for task in tasks):
        await asyncio.wait({stopped, *(t for t in tasks if not t.done())}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(tasks, timeout=GRACE_S)
    for task in (*tasks, stopped):
        task.cancel()
    await asyncio.gather(*tasks, stopped, return_exceptions=True)
    tally.seconds = round(time.monotonic() - began_s, 3)
    for worker in workers:
        if not worker.cancelled():
            worker.result()
    return None if reading.cancelled() else reading.result()


async def _work(queue: Queue, sender: Sender, tally: Tally, stop: asyncio.Event) -> None:
    while (batch := await queue.get()) is not None:
        if stop.is_set():
            tally.unsent += len(batch)
        else:
            await sender.send(batch)


class _Reader:
    """Puts the log's page loads into the queue, in batches, each when it is due; then None for each worker."""

    def __init__(self, source: Source, queue: Queue, pace: Pace | None, tally: Tally, stop: asyncio.Event) -> None:
        self._source = source
        self._queue = queue
        self._pace = pace
        self._tally = tally
        self._stop = stop
        self._batch: list[Encoded] = []
        self._batch_bytes = 0
        self._opened_s = 0.0

    async def run(self) -> str | None:
        """Read until the end or `stop`; return what is wrong with the log."""
        error = None
        try:
            async for lines in self._source.pieces():
                for line in lines:
                    if self._stop.is_set():
                        break
                    await self._read(line)
                if time.monotonic() > self._opened_s + LINGER_S:
                    await self._flush()
                if self._stop.is_set():
                    break
        except (EOFError, OSError, zlib.error) as problem:
            error = str(problem)
        await self._flush()
        for _ in range(REQUESTS_AT_ONCE):
            await self._queue.put(None)
        return error

    async def _read(self, line: bytes) -> None:
        self._tally.lines += 1
        page = read_line(line)
        if not isinstance(page, PageLoad):
            setattr(self._tally, page, getattr(self._tally, page) + 1)
            return
        if self._pace is not None:
            due_s = self._pace.due_s(page.time)
            if due_s > self._opened_s + LINGER_S:
                await self._flush()
            await pause(self._stop, due_s - time.monotonic())
        signal = encode_signal(page)
        size_bytes = len(bytes(signal)) + 1  # and a comma
        if self._batch_bytes + size_bytes > BATCH_MAX_BYTES:
            await self._flush()
        if not self._batch:
            self._opened_s = time.monotonic()
        self._batch.append(signal)
        self._batch_bytes += size_bytes
        if len(self._batch) == BATCH_MAX_SIGNALS:
            await self._flush()

    async def _flush(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            await self._queue.put(batch)
