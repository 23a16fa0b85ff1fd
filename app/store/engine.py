"""The two engines behind one port: a ClickHouse server over HTTP, or the same engine embedded in this process."""

import asyncio
import logging
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from app.domain.errors import StartupError, Unavailable
from app.store.folder import require_readable
from app.store.statements import Statement
from app.store.writes import NotSent, ServerWrites

log = logging.getLogger(__name__)

Parameters = Mapping[str, Any]
EMBEDDED_DATABASE = "pulsehouse"
READ_GRACE_S = 2  # from the end of a read's time to the answer that says so
EMBEDDED_CLIENTS = 3  # one to insert and two to read; the lock of the embedded backend is per client

# Refused before anything was written: access (497, 516, 194, 192), read-only user or server (164), no such
# database or table (81, 60), too many statements at once (202), a statement of the same id still runs (216).
_NOTHING_WRITTEN = frozenset({60, 81, 164, 192, 194, 202, 216, 497, 516})
# The rows themselves are refused, so sending them again cannot help: cannot parse, wrong type or shape.
_BAD_ROWS = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 321})
UNKNOWN_DATABASE = 81
STILL_RUNNING = 216
_NO_REASON = "Error initializing EmbeddedServer: ."


class EngineError(Unavailable):
    """A statement failed. What ClickHouse said goes to the log, never into the message.

    code      ClickHouse's error number; None when no answer came
    written   False when certainly nothing was stored, None when it is not known
    timed_out the answer took longer than it was given
    """

    def __init__(
        self, code: int | None, *, written: bool | None = None, timed_out: bool = False, detail: str = ""
    ) -> None:
        super().__init__()
        self.code = code
        self.written = written
        self.timed_out = timed_out
        self.bad_rows = code in _BAD_ROWS
        self.detail = detail


class Engine(Protocol):
    """Runs the statements of sql/ and migrations/ on one database."""

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        """Run a query and return its result in the format that it names. Raises EngineError."""
        ...

    async def execute(
        self,
        statement: Statement,
        parameters: Parameters | None = None,
        rows: bytes | None = None,
        *,
        query_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Run a statement that changes something, once, with `rows` for an INSERT. Raises EngineError and nothing else.

        A server refuses a `query_id` that it still runs, and is given `timeout_s` to answer (else its usual time); the
        embedded engine answers when it is done.
        """
        ...

    async def close(self) -> None: ...


class ServerEngine:
    """A ClickHouse server over HTTP; one per event loop. Connects at the first use, and again after a failure."""

    def __init__(self, url: str, *, query_timeout_s: float, insert_timeout_s: float, connections: int = 16) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port or (8443 if parts.scheme == "https" else 8123)
        except ValueError:
            raise StartupError(
                "PULSEHOUSE_CLICKHOUSE_URL: not an address; use http://user:password@host:8123/database"
            ) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StartupError("PULSEHOUSE_CLICKHOUSE_URL: use http://user:password@host:8123/database")
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._user = unquote(parts.username or "default")
        self._password = unquote(parts.password or "")
        self.database = unquote(parts.path.strip("/")) or "default"
        self.name = f"{parts.scheme}://{self._host}:{self._port}/{self.database}"
        self._query_timeout_s = max(1, round(query_timeout_s))
        self._connections = connections
        self._reads: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._writes = ServerWrites(
            scheme=parts.scheme,
            host=self._host,
            port=self._port,
            user=self._user,
            password=self._password,
            connections=connections,
            timeout_s=insert_timeout_s,
        )

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        try:
            client = self._reads or await self._connect()
            # A read that nobody waits for any more is stopped by the server only when it is marked readonly.
            return await client.raw_query(statement.text, dict(parameters or {}), settings={"readonly": 2})
        except Exception as error:  # a garbled answer raises whatever its decoder does
            raise _engine_error(error) from None

    async def execute(
        self,
        statement: Statement,
        parameters: Parameters | None = None,
        rows: bytes | None = None,
        *,
        query_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        try:
            await self._writes.send(
                statement.text,
                parameters or {},
                rows,
                database=self.database,
                query_id=query_id,
                timeout_s=timeout_s,
            )
        except Exception as error:
            raise _engine_error(error) from error

    async def create_database(self, statement: Statement) -> None:
        """Create the database of the URL where it is missing. Raises EngineError when that is not allowed."""
        try:
            await self._connect()
        except Exception as error:
            if error_code(error) != UNKNOWN_DATABASE:
                raise _engine_error(error) from None
            try:
                await self._writes.send(statement.text, {"database": self.database}, None, database="default")
            except Exception as refused:
                raise _engine_error(refused) from None

    async def close(self) -> None:
        await self._writes.close()
        if self._reads:
            await self._reads.close()
            self._reads = None

    async def _connect(self) -> AsyncClient:
        async with self._connecting:
            if self._reads is None:
                self._reads = await clickhouse_connect.get_async_client(
                    host=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    database=self.database,
                    secure=self._secure,
                    compress=False,
                    query_retries=0,
                    connect_timeout=min(2, self._query_timeout_s),
                    # The server ends a read itself and says so; the driver gives up where nothing comes at all.
                    send_receive_timeout=self._query_timeout_s + READ_GRACE_S,
                    connector_limit=self._connections,
                    connector_limit_per_host=self._connections,
                    show_clickhouse_errors=True,
                    autogenerate_query_id=False,
                    settings={"max_execution_time": self._query_timeout_s},
                )
            return self._reads


class EmbeddedEngine:
    """The engine inside this process, its data in a folder. One process per folder."""

    def __init__(
        self, folder: Path, *, query_timeout_s: float, max_memory_bytes: int, database: str = EMBEDDED_DATABASE
    ) -> None:
        self.database = database
        self.name = f"embedded, data in {folder}"
        self._folder = folder
        self._settings = {"max_execution_time": query_timeout_s}
        self._options = {"max_server_memory_usage": str(max_memory_bytes)}
        self._threads = ThreadPoolExecutor(EMBEDDED_CLIENTS, thread_name_prefix="clickhouse")
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
            for _ in range(EMBEDDED_CLIENTS):
                self._idle.put_nowait(await self._open(self.database))
        except ClickHouseError as error:
            # It says the reason in a line of its own on standard error, and not in the exception.
            why = "it is damaged, or open in another program" if _NO_REASON in str(error) else _first_line(error)
            raise StartupError(f"PULSEHOUSE_DATA_DIR: the embedded engine cannot open {self._folder}: {why}") from None
        require_readable(self._folder)

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        result: bytes = await self._run("raw_query", statement.text, dict(parameters or {}))
        return result

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
            raise _engine_error(error) from error
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


def error_code(error: BaseException) -> int | None:
    """ClickHouse's error number, or None when it gave no answer."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _engine_error(error: Exception) -> EngineError:
    code = error_code(error)
    causes = _causes(error)
    not_sent = any(isinstance(cause, NotSent) for cause in causes)
    timed_out = not not_sent and any(isinstance(cause, TimeoutError) for cause in causes)
    written = False if not_sent or code in _NOTHING_WRITTEN else None
    return EngineError(code, written=written, timed_out=timed_out, detail=_first_line(error))


def _causes(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def _first_line(error: BaseException) -> str:
    """What an error says, on one line; its kind where it says nothing, and where it is none of those expected."""
    said = str(error) if isinstance(error, ClickHouseError) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s+", " ", said).removesuffix(": ")[:300]
