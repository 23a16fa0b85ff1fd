"""Statements that change something, sent to a ClickHouse server over HTTP: each once, and believed only when answered.

clickhouse-connect takes any 2xx for success, follows redirects and repeats a connection that timed out. Between us and
ClickHouse there may be a proxy with pages of its own, so what counts as an answer is said here.
"""

import io
import uuid
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC
from typing import Any, cast

import aiohttp
import msgspec
from clickhouse_connect.driver.binding import bind_query
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_connect.driver.httputil import check_env_proxy

CONNECT_TIMEOUT_S = 2
ERROR_MAX_BYTES = 2_000
OWN_HEADERS = ("X-ClickHouse-Query-Id", "X-ClickHouse-Server-Display-Name", "X-ClickHouse-Summary")
"""ClickHouse sends them with whatever it has carried out."""

_summary = msgspec.json.Decoder(dict[str, Any])


class ServerWrites:
    """Sends statements to one server. Connects at the first use; belongs to one event loop."""

    def __init__(
        self,
        *,
        scheme: str,
        host: str,
        port: int,
        user: str,
        password: str,
        connections: int,
        timeout_s: float,
        settings: Mapping[str, str | int],
    ) -> None:
        self._url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
        self._proxy = check_env_proxy(scheme, host, port)
        credentials = b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Accept-Encoding": "identity"}
        self._connections = connections
        self._timeout_s = timeout_s
        self._settings = settings
        self._opened: aiohttp.ClientSession | None = None

    async def send(
        self,
        text: str,
        parameters: Mapping[str, Any],
        rows: bytes | None,
        *,
        database: str,
        query_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Send one statement, and return when ClickHouse has carried it out.

        Raises NotSent, DatabaseError with ClickHouse's code, or anything else when it is not known what became of it.
        """
        timeout_s = timeout_s or self._timeout_s
        bound, given = bind_query(text, dict(parameters), UTC)
        statement = cast(str, bound)  # bytes only where a parameter is pasted in as bytes, which none is
        asked = {**self._settings, "database": database, "query_id": query_id or str(uuid.uuid4()), **given}
        if rows is not None:
            asked["query"] = statement
        async with self._session().post(
            self._url,
            params=asked,
            data=io.BytesIO(statement.encode() if rows is None else rows),
            headers=self._headers,
            proxy=self._proxy,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        ) as response:
            _require_done(response.status, response.headers, await response.content.read(ERROR_MAX_BYTES))

    async def close(self) -> None:
        if self._opened:
            await self._opened.close()
            self._opened = None

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections), auto_decompress=False
            )
        return self._opened


def _require_done(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise, unless an answer is ClickHouse's own and says that the statement is carried out."""
    said = body.decode(errors="backslashreplace")
    code = headers.get("X-ClickHouse-Exception-Code", "")
    if code.isdecimal():
        raise DatabaseError(f"Received ClickHouse exception, code: {code}, server response: {said}", code=int(code))
    if status != 200 or body or not all(name in headers for name in OWN_HEADERS):
        raise OperationalError(f"not an answer of ClickHouse: status {status}, {said!r}")
    try:
        _summary.decode(headers["X-ClickHouse-Summary"])
    except msgspec.DecodeError:
        raise OperationalError("not an answer of ClickHouse: X-ClickHouse-Summary is no JSON object") from None
