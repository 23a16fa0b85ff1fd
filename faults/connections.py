"""A hostile client without a token: it holds connections by bodies without an end and answers that it does not read."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from faults.traffic import Sent
from tests.kit.user_agents import BROWSER

BODY_BYTES = 1_000_000
PIECE_BYTES = 20_000
PIECE_EVERY_S = 0.2
REQUESTS_UNREAD = 50_000
REQUEST = b"GET / HTTP/1.1\r\nHost: pulsehouse\r\n\r\n"
AGAIN_AFTER_S = 0.5

Hold = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Holder:
    """Opens connections of each kind again and again, until its time is over or nobody listens any more.

    What is open then stays so until the other side closes it.
    """

    def __init__(self, port: int, site_id: str, trial: str) -> None:
        self.sent: list[Sent] = []
        self._port = port
        self._site_id = site_id
        self._trial = trial
        self._numbers = itertools.count()

    async def hold(self, connections: int, seconds: float) -> None:
        percent = {self._half: 20, self._large_half: 55, self._slow: 15, self._unread: 10}
        ways = [way for way, share in percent.items() for _ in range(max(1, connections * share // 100))]
        holders = [asyncio.create_task(self._go_on(way)) for way in ways]
        await asyncio.wait(holders, timeout=seconds)
        for holder in holders:
            holder.cancel()
        await asyncio.gather(*holders, return_exceptions=True)

    async def _go_on(self, way: Hold) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                return
            try:
                with suppress(OSError):
                    await way(reader, writer)
            finally:
                writer.transport.abort()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _half(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Half of a small body."""
        body = self._body(self._new_sent(), 1_000)
        writer.write(self._head(len(body)) + body[:500])
        await reader.read()

    async def _large_half(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All of a large body but its last bytes."""
        body = self._body(self._new_sent(), BODY_BYTES)
        writer.write(self._head(len(body)) + body[:-10])
        await writer.drain()
        await reader.read()

    async def _slow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All of a large body, in pieces that take 10 s."""
        sent = self._new_sent()
        body = self._body(sent, BODY_BYTES)
        writer.write(self._head(len(body)))
        for start in range(0, len(body), PIECE_BYTES):
            writer.write(body[start : start + PIECE_BYTES])
            await writer.drain()
            await asyncio.sleep(PIECE_EVERY_S)
        if first_line := await reader.readline():
            sent.answered(int(first_line.split()[1]))

    async def _unread(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Many requests, whose answers stay where they are."""
        for _ in range(REQUESTS_UNREAD // 100):
            writer.write(REQUEST * 100)
            await writer.drain()
        while True:  # an end of the connection shows only where something is written
            writer.write(REQUEST)
            await writer.drain()
            await asyncio.sleep(AGAIN_AFTER_S)

    def _new_sent(self) -> Sent:
        sent = Sent(self._trial, self._site_id, [f"/{self._trial}/held/{next(self._numbers)}"])
        self.sent.append(sent)
        return sent

    def _body(self, sent: Sent, size: int) -> bytes:
        signal = {"siteId": self._site_id, "path": sent.marks[0], "padding": ""}
        signal["padding"] = "x" * (size - len(json.dumps(signal)))
        return json.dumps(signal).encode()

    def _head(self, length: int) -> bytes:
        lines = ["POST /api/track HTTP/1.1", "Host: pulsehouse", f"User-Agent: {BROWSER}", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()


async def hold_connections(port: int, site_id: str, trial: str, connections: int, seconds: float) -> list[Sent]:
    """Hold connections for so long; return what was sent on them."""
    holder = Holder(port, site_id, trial)
    await holder.hold(connections, seconds)
    return holder.sent
