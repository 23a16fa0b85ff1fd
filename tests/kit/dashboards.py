"""Many open event streams in one process, whose clients come back as they are told to."""

import asyncio
import json
from typing import Any

CONNECT_AT_ONCE = 50
TRY_AGAIN_S = 0.5
"""When a client whose connection is refused or lost tries again; told `retry:`, it waits as long as it was told."""


class Dashboard:
    """One client with one stream."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] | None = None
        """The latest."""
        self.errors = 0
        """Error events since the latest answer."""
        self.opened = 0
        self.told_to_return = 0
        self.lost = 0
        """Streams that ended without a `retry:`."""


class Dashboards:
    """Clients of one service and site; `stop` ends them all."""

    def __init__(self, port: int, token: str, site_id: str, count: int) -> None:
        self.all = [Dashboard() for _ in range(count)]
        self._port = port
        self._request = (
            f"GET /api/realtime/stream?siteId={site_id} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._gate = asyncio.Semaphore(CONNECT_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._go_on(dashboard)) for dashboard in self.all]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def active_visitors(self) -> set[int | None]:
        """The numbers that the dashboards show; None for one that shows an error or nothing."""
        return {
            dashboard.answer["activeVisitors"] if dashboard.answer and not dashboard.errors else None
            for dashboard in self.all
        }

    async def _go_on(self, dashboard: Dashboard) -> None:
        while True:
            wait_s = TRY_AGAIN_S
            try:
                async with self._gate:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.write(self._request)
                    head = await reader.readuntil(b"\r\n\r\n")
                try:
                    if head.startswith(b"HTTP/1.1 200 "):
                        dashboard.opened += 1
                        wait_s = await self._read(dashboard, reader)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(wait_s)

    async def _read(self, dashboard: Dashboard, reader: asyncio.StreamReader) -> float:
        """Read a stream to its end; return after how many seconds to come back."""
        kind, wait_s = "", 0.0
        while line := await reader.readline():
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "realtime":
                dashboard.answer, dashboard.errors = json.loads(value)["answer"], 0
            elif name == "data":
                dashboard.errors += 1
            elif name == "retry":
                wait_s = int(value) / 1000
                dashboard.told_to_return += 1
        dashboard.lost += not wait_s
        return wait_s or TRY_AGAIN_S
