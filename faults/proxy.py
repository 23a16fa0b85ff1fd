"""A TCP proxy between the API and ClickHouse that breaks connections on demand."""

import asyncio
import contextlib
from typing import Literal

from faults.oddities import HEAD_MAX_BYTES, Oddities

Mode = Literal["pass", "refuse", "delay", "cut", "odd"]
DELAY_S = 0.5


class Proxy:
    """Forwards connections to a port. `mode` says what happens to what passes from now on.

    pass    forward
    refuse  close new connections at once
    delay   hold every answer back for DELAY_S
    cut     forward the request, then close the connection when its answer begins
    odd     on new connections, answer some INSERTs as no ClickHouse would (faults/oddities.py)
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.mode: Mode = "pass"
        self.oddities = Oddities()
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_MAX_BYTES)
        self.port = int(server.sockets[0].getsockname()[1])

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            client_out.close()
            return
        if self.mode == "odd":
            await self.oddities.serve(self.target_port, client_in, client_out)
            return
        try:
            server_in, server_out = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            client_out.close()
            return
        forward = asyncio.create_task(self._pipe(client_in, server_out, answers=False))
        back = asyncio.create_task(self._pipe(server_in, client_out, answers=True))
        await asyncio.wait([forward, back], return_when=asyncio.FIRST_COMPLETED)
        for task in (forward, back):
            task.cancel()
        for writer in (client_out, server_out):
            writer.close()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if answers and self.mode == "cut":
                    return
                if answers and self.mode == "delay":
                    await asyncio.sleep(DELAY_S)
                sink.write(data)
                await sink.drain()
