"""Whose turn it is: polls of a key that has many under way wait for each other, so that other keys' go first."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from app.domain.errors import Unavailable


class Turns:
    """Lets each key have so many polls under way at once; the others of it wait, in order. 0 is no limit.

    Else all that one client asks for is in the next statement, and in the worker's hands once that is answered: who
    asks beside it waits for both.
    """

    def __init__(self, max_at_once: int, timeout_s: float) -> None:
        self._max = max_at_once
        self._timeout_s = timeout_s
        self._of_key: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Of each key with polls under way."""

    @contextlib.asynccontextmanager
    async def of(self, key_id: str) -> AsyncIterator[None]:
        """Wait for a turn of the key, and have it meanwhile. Raises Unavailable when it does not come in time."""
        if not self._max:
            yield
            return
        turns = self._of_key.get(key_id)
        if turns is None:
            turns = self._of_key[key_id] = asyncio.Semaphore(self._max)
        if turns.locked():
            try:
                async with asyncio.timeout(self._timeout_s):
                    await turns.acquire()
            except TimeoutError:
                raise Unavailable from None
        else:
            await turns.acquire()  # at once
        try:
            yield
        finally:
            turns.release()
