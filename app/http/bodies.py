"""Request bodies: each is read whole within its time and size, all of a worker's together within theirs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.domain.errors import BodyTooSlow, InvalidSignal, Refusal, TooLarge, Unavailable
from app.http.caller import Request, header_of

DRAIN_FACTOR = 16
"""Of a body that is refused so many times the largest one is read and thrown away: a client that is cut off while it
sends does not get to its answer."""

STOPPING_S = 0.5
"""A worker that stops waits so long for what is just being sent."""


class Bodies:
    """Reads bodies, and counts the bytes of them that the worker holds."""

    def __init__(self, *, max_bytes: int, all_max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._all_max_bytes = all_max_bytes
        self._timeout_s = timeout_s
        self._reading: set[asyncio.Timeout] = set()
        self._stopping = False
        self._held_bytes = 0

    def stop(self) -> None:
        """Wait for no body any more: a worker that stops does not wait for those who send slowly."""
        self._stopping = True
        end_s = asyncio.get_running_loop().time() + STOPPING_S
        for deadline in self._reading:
            deadline.reschedule(min(end_s, deadline.when() or end_s))

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request; its bytes are held until the context is left, so keep nothing of it longer.

        Raises TooLarge, BodyTooSlow, InvalidSignal for a body that breaks off, or Unavailable when the worker holds
        too many bytes or stops. A body that comes in one piece is not refused for what the others take.
        """
        chunks: list[bytes] = []
        try:
            await self._read(request, chunks)
            yield b"".join(chunks)
        finally:
            self._let_go(chunks)

    async def _read(self, request: Request, chunks: list[bytes]) -> None:
        announced = _announced_bytes(request)
        # No exception in a variable: with its traceback it would keep the request, its connection and its body.
        refuse: Callable[[], Refusal] | None = None
        if announced > self._max_bytes:
            refuse = self._too_large
            if announced > DRAIN_FACTOR * self._max_bytes or header_of(request, b"expect") is not None:
                raise refuse()  # nothing of it has been sent yet, or too much would be
        received = 0
        more = True
        try:
            async with asyncio.timeout(STOPPING_S if self._stopping else self._timeout_s) as deadline:
                self._reading.add(deadline)
                try:
                    while more and received <= DRAIN_FACTOR * self._max_bytes:
                        message = await request.receive()
                        if message["type"] != "http.request":
                            refuse = refuse or _broken_off
                            break
                        chunk = message.get("body", b"")
                        received += len(chunk)
                        more = message.get("more_body", False) and received != announced
                        if refuse is None:
                            chunks.append(chunk)
                            self._held_bytes += len(chunk)
                            refuse = self._refuse(received, more)
                            if refuse:
                                self._let_go(chunks)  # at once: else the next one is refused for it too
                finally:
                    self._reading.discard(deadline)
        except TimeoutError:
            refuse = refuse or (Unavailable if self._stopping else self._too_slow)
        if refuse:
            raise refuse() from None

    def _refuse(self, received: int, more: bool) -> Callable[[], Refusal] | None:
        if received > self._max_bytes:
            return self._too_large
        return Unavailable if more and self._held_bytes > self._all_max_bytes else None

    def _let_go(self, chunks: list[bytes]) -> None:
        self._held_bytes -= sum(map(len, chunks))
        chunks.clear()

    def _too_large(self) -> Refusal:
        return TooLarge(f"body: at most {self._max_bytes} bytes")

    def _too_slow(self) -> Refusal:
        return BodyTooSlow(f"body: not complete within {self._timeout_s:g} seconds")


def _broken_off() -> Refusal:
    return InvalidSignal("body: broken off or malformed")


def _announced_bytes(request: Request) -> int:
    """What the request says of the length of its body; -1 where it says nothing."""
    length = header_of(request, b"content-length") or ""
    return int(length) if length.isascii() and length.isdigit() else -1
