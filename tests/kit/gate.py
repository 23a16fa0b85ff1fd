"""A gate before a server: while it is shut nobody gets through, as where the server is gone."""

import asyncio
import contextlib
from urllib.parse import urlsplit


class Gate:
    """Passes connections on to a server while it is open; shut, it refuses them and has cut those there were."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The server's address through the gate."""
        parts = urlsplit(self._server_url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self._port}").geturl()

    async def open(self) -> None:
        self._listening = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._listening:
            self._listening.close()
        for passing in list(self._passing):
            passing.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.current_task()
        assert passing
        self._passing.add(passing)
        parts = urlsplit(self._server_url)
        there = None
        try:
            from_server, there = await asyncio.open_connection(parts.hostname, parts.port)
            await asyncio.gather(_copy(reader, there), _copy(from_server, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one side has gone, or the gate is shut
        finally:
            self._passing.discard(passing)
            for end in filter(None, (writer, there)):
                end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
