"""ClickHouse goes away under the live page, and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import httpx
import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from tests.browser.conftest import LiveService, Visitors, shown
from tests.kit.ports import free_port

pytestmark = pytest.mark.deep


@asynccontextmanager
async def line_to(url: httpx.URL, port: int) -> AsyncIterator[None]:
    """A line to ClickHouse that ends with the block, open connections included: to the service the server is gone."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(url.host, url.port or 8123)
        for one in (pump(reader, far_writer), pump(far_reader, writer)):
            task = asyncio.create_task(one)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_numbers_go_stale_while_clickhouse_is_gone_and_recover(
    server_url: str, server_database: str, visitors: Visitors
) -> None:
    server, port = httpx.URL(server_database), free_port()
    through_line = str(server.copy_with(host="127.0.0.1", port=port))
    with ExitStack() as stack:
        async with line_to(httpx.URL(server_url), port):
            service = await asyncio.to_thread(LiveService, clickhouse_url=through_line)
            await asyncio.to_thread(stack.enter_context, service)
            live = await visitors.page()
            await live.goto(service.page("site_shop"))
            await shown(live, health="Live", active="0")
        await live.locator("#banner", has_text="The server cannot answer right now.").wait_for()
        await live.locator("#health", has_text="Stale").wait_for()
        assert await live.locator("#active").inner_text() == "0"
        async with line_to(server, port):
            await shown(live, health="Live")
            assert await live.locator("#banner").is_hidden()
            await asyncio.to_thread(stack.close)
