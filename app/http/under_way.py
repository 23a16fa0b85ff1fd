"""How many requests are under way, so that a worker that stops knows when its work is done.

A server that stops waits for its connections. One whose client does not read its answer would hold it back for as long
as the client likes, though nothing is left to do.
"""

import asyncio
from typing import Any

READ_WITHIN_S = 1.0
"""So long the last answers may take to be read, once there is nothing else to do."""


class UnderWay:
    """Counts the requests of an application."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Event()

    def counted(self, app: Any) -> Any:
        """Return the ASGI application, its requests counted."""

        async def count(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            self._count += 1
            try:
                await app(scope, receive, send)
            finally:
                self._count -= 1
                self._changed.set()

        return count

    async def done(self) -> None:
        """Return when nothing is under way, and the last answers have had the time to be read."""
        while self._count:
            self._changed.clear()
            await self._changed.wait()
        await asyncio.sleep(READ_WITHIN_S)
