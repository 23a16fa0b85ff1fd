"""The engine inside this process, its data in a folder: ClickHouse as a library."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from app.domain.errors import StartupError
from app.store.engine import Parameters, engine_error, first_line
from app.store.folder import require_readable
from app.store.statements import Statement

DATABASE = "pulsehouse"
CLIENTS = 5  # two to insert, two to read and one for reports; the lock of the embedded backend is per client
_NO_REASON = "Error initializing EmbeddedServer: ."


class EmbeddedEngine:
    """The engine inside this process, its data in a folder. One process per folder."""

    def __init__(
        self,
        folder: Path,
        *,
        query_timeout_s: float,
        max_memory_bytes: int,
        backup_folder: Path | None = None,
        database: str = DATABASE,
    ) -> None:
        self.database = database
        self.name = f"embedded, data in {folder}"
        self._folder = folder
        self._settings = {"max_execution_time": query_timeout_s}
        self._options = {
            "max_server_memory_usage": str(max_memory_bytes),
            "backups.allowed_path": str(backup_folder or folder / "backups"),
        }
        self._threads = ThreadPoolExecutor(CLIENTS, thread_name_prefix="clickhouse")
        self._idle: asyncio.LifoQueue[Client] = asyncio.LifoQueue()
        self._opened: list[Client] = []

    async def create_database(self, statement: Statement) -> None:
        """Open the folder and create the database. Raises StartupError when it cannot, or not read all of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            first = await self._open("default")
            await self._in_thread(first.command, statement.text, {"database": self.database})
            await self._in_thread(first.close)
            self._opened.remove(first)
            for _ in range(CLIENTS):
                self._idle.put_nowait(await self._open(self.database))
        except ClickHouseError as error:
            # It says the reason in a line of its own on standard error, and not in the exception.
            why = "it is damaged, or open in another program" if _NO_REASON in str(error) else first_line(error)
            raise StartupError(f"PULSEHOUSE_DATA_DIR: the embedded engine cannot open {self._folder}: {why}") from None
        except ImportError as error:
            if getattr(error.__cause__, "name", "") != "chdb":
                raise
            raise StartupError(
                "this installation has no embedded engine: set PULSEHOUSE_CLICKHOUSE_URL to a ClickHouse server, "
                "or install pulsehouse[embedded]"
            ) from None
        require_readable(self._folder)

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        result: bytes = await self._run("raw_query", statement.text, dict(parameters or {}))
        return result

    async def is_granted(self, statement: Statement) -> bool:
        return (await self.fetch(statement)).strip() == b"1"

    async def execute(
        self,
        statement: Statement,
        parameters: Parameters | None = None,
        rows: bytes | None = None,
        *,
        query_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        await self._run("command", statement.text, dict(parameters or {}), rows)

    async def close(self) -> None:
        for client in self._opened:
            await self._in_thread(client.close)
        self._opened.clear()
        self._threads.shutdown()

    async def _run(self, method: str, *arguments: Any) -> Any:
        client = await self._idle.get()
        try:
            return await self._in_thread(getattr(client, method), *arguments)
        except Exception as error:
            raise engine_error(error) from error
        finally:
            self._idle.put_nowait(client)

    async def _open(self, database: str) -> Client:
        client: Client = await self._in_thread(
            lambda: clickhouse_connect.get_client(
                interface="chdb",
                path=str(self._folder),
                database=database,
                settings=self._settings,
                chdb_options=self._options,
            )
        )
        self._opened.append(client)
        return client

    async def _in_thread(self, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
