"""The port to ClickHouse and its errors; app/store/server.py and app/store/embedded.py are what is behind it."""

import re
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError

from app.domain.errors import Unavailable
from app.store.statements import Statement

Parameters = Mapping[str, Any]
Row = TypeVar("Row")

# Refused before anything was written: access (497, 516, 194, 192), read-only user or server (164), no such
# database or table (81, 60), too many statements at once (202), a statement of the same id still runs (216).
_NOTHING_WRITTEN = frozenset({60, 81, 164, 192, 194, 202, 216, 497, 516})
# The rows themselves are refused, so sending them again cannot help: cannot parse, wrong type or shape.
_BAD_ROWS = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 321})
UNKNOWN_DATABASE = 81
STILL_RUNNING = 216

NotSent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""There was no connection, so nothing was sent: refused, no such host, no TLS, no answer to it in time."""


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

    name: str
    """Where it is, for people; without user and password."""
    database: str

    async def create_database(self, statement: Statement) -> None:
        """Open it, and create its database where it is missing. Raises StartupError or EngineError."""
        ...

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        """Run a query and return its result in the format that it names. Raises EngineError."""
        ...

    async def is_granted(self, statement: Statement) -> bool:
        """Whether the user has the right that a CHECK GRANT asks for. Raises EngineError.

        Not for `fetch`, whose session may change nothing whatever the rights are.
        """
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


class Result(msgspec.Struct, Generic[Row]):
    """A result in ClickHouse's format JSON: an object even where there are no rows."""

    data: list[Row]


def decode_rows(body: bytes, decoder: "msgspec.json.Decoder[Result[Row]]") -> list[Row]:
    """The rows of a result. Raises EngineError for anything else: a proxy's empty answer does not say "no rows"."""
    try:
        return decoder.decode(body).data
    except msgspec.DecodeError as error:
        raise EngineError(None, written=False, detail=f"not an answer of ClickHouse: {error}") from None


def error_code(error: BaseException) -> int | None:
    """ClickHouse's error number, or None when it gave no answer."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def engine_error(error: Exception) -> EngineError:
    code = error_code(error)
    causes = _causes(error)
    not_sent = any(isinstance(cause, NotSent) for cause in causes)
    timed_out = not not_sent and any(isinstance(cause, TimeoutError) for cause in causes)
    written = False if not_sent or code in _NOTHING_WRITTEN else None
    return EngineError(code, written=written, timed_out=timed_out, detail=first_line(error))


def _causes(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def first_line(error: BaseException) -> str:
    """What an error says, on one line; its kind where it says nothing, and where it is none of those expected."""
    said = str(error) if isinstance(error, ClickHouseError) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s+", " ", said).removesuffix(": ")[:300]
