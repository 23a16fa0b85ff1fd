"""Whose turn it is: polls of a key that has many under way wait for each other, so that other keys' go first."""

import asyncio
from collections import deque

from app.domain.errors import Unavailable
from app.store.deadlines import Deadlines


class Turns:
    """Lets each key have so many polls under way at once; the others of it wait, in order. 0 is no limit.

    Else all that one client asks for is in the next statement, and in the worker's hands once that is answered: who
    asks beside it waits for both. No semaphore for each key: making one costs a poll more than counting.
    """

    def __init__(self, max_at_once: int, timeout_s: float) -> None:
        self._max = max_at_once
        self._deadlines = Deadlines(timeout_s)
        self._under_way: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def begin(self, key_id: str) -> None:
        """Take a turn of the key, waiting for one if need be. Raises Unavailable when it does not come in time."""
        under_way = self._under_way.get(key_id, 0)
        if not self._max or under_way < self._max:
            self._under_way[key_id] = under_way + 1
            return
        turn: asyncio.Future[None] = self._deadlines.new_future()
        self._waiting.setdefault(key_id, deque()).append(turn)
        try:
            await turn
        except TimeoutError:
            raise Unavailable from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():  # it came in the same moment
                self.end(key_id)
            raise

    def end(self, key_id: str) -> None:
        """Give a turn to the next poll of the key that still waits, or back."""
        waiting = self._waiting.get(key_id, ())
        while waiting:
            turn = waiting.popleft()
            if not waiting:
                del self._waiting[key_id]
            if not turn.done():
                turn.set_result(None)
                self._deadlines.forget_done()
                return
        self._under_way[key_id] -= 1
        if not self._under_way[key_id]:
            del self._under_way[key_id]


class Turn:
    """A turn of a key: `async with` it. Raises Unavailable on entering when it does not come in time."""

    __slots__ = ("_key_id", "_turns")

    def __init__(self, turns: Turns, key_id: str) -> None:
        self._turns = turns
        self._key_id = key_id

    async def __aenter__(self) -> None:
        await self._turns.begin(self._key_id)

    async def __aexit__(self, *_: object) -> None:
        self._turns.end(self._key_id)
