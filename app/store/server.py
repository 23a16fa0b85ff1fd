"""The engine that is a ClickHouse server, over HTTP."""

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient

from app.domain.errors import StartupError
from app.store.engine import UNKNOWN_DATABASE, Parameters, engine_error, error_code
from app.store.server_writes import ServerWrites
from app.store.statements import Statement

READ_GRACE_S = 2  # from the end of a read's time to the answer that says so


class ServerEngine:
    """A ClickHouse server over HTTP; one per event loop. Connects at the first use, and again after a failure.

    `suffix` is put behind the name of the database that the URL names; `settings` of ClickHouse go with each statement.
    """

    def __init__(
        self,
        url: str,
        *,
        query_timeout_s: float,
        insert_timeout_s: float,
        connections: int = 16,
        suffix: str = "",
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
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
        self.database = unquote(parts.path.strip("/") or "default") + suffix
        self.name = f"{parts.scheme}://{self._host}:{self._port}/{self.database}"
        self._query_timeout_s = max(1, round(query_timeout_s))
        self._connections = connections
        self._settings = dict(settings or {})
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
            settings=self._settings,
        )

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        try:
            client = self._reads or await self._connect()
            # A read that nobody waits for any more is stopped by the server only when it is marked readonly.
            return await client.raw_query(statement.text, dict(parameters or {}), settings={"readonly": 2})
        except Exception as error:  # a garbled answer raises whatever its decoder does
            raise engine_error(error) from None

    async def is_granted(self, statement: Statement) -> bool:
        try:
            client = self._reads or await self._connect()
            return (await client.raw_query(statement.text)).strip() == b"1"
        except Exception as error:
            raise engine_error(error) from None

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
            raise engine_error(error) from error

    async def create_database(self, statement: Statement) -> None:
        try:
            await self._connect()
        except Exception as error:
            if error_code(error) != UNKNOWN_DATABASE:
                raise engine_error(error) from None
            try:
                await self._writes.send(statement.text, {"database": self.database}, None, database="default")
            except Exception as refused:
                raise engine_error(refused) from None

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
                    settings={**self._settings, "max_execution_time": self._query_timeout_s},
                )
            return self._reads
