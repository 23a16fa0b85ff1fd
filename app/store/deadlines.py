"""One timer for all callers that wait: asyncio.timeout around each of them costs more than the rest of its request."""

import asyncio
from collections import deque
from typing import TypeVar

Result = TypeVar("Result")


class Deadlines:
    """Fails the futures that are not done in time with TimeoutError. Every caller may wait equally long."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[float, asyncio.Future[object]]] = deque()  # in the order of their deadlines
        self._alarm: asyncio.TimerHandle | None = None

    def new_future(self) -> "asyncio.Future[Result]":
        """A future that is done in time, one way or the other."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        deadline_s = loop.time() + self._timeout_s
        self._waiting.append((deadline_s, future))
        if self._alarm is None:
            self._alarm = loop.call_at(deadline_s, self._give_up)
        return future

    def forget_done(self) -> None:
        """Let go of futures that are done, and of their results; call it after answering some."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()

    def _give_up(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= loop.time()):
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(TimeoutError())
        self._alarm = loop.call_at(self._waiting[0][0], self._give_up) if self._waiting else None
