"""An engine that is several: each statement goes to the first of them that can be reached."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from app.store.engine import Engine, EngineError, Parameters
from app.store.statements import Statement

Answer = TypeVar("Answer")

# A shard was not reached: it has nothing to do with what was asked, so asking for less is of no use.
# 279 all connection tries failed, 210 network error, 209 socket timeout, 32 end of the connection
UNREACHED = frozenset({279, 210, 209, 32})


class OneOf:
    """Sends each statement to the first engine that is thought to answer, and to the next where there is no connection.

    A statement that may have arrived is not sent again here: that is for whoever knows whether it may be.
    """

    def __init__(self, name: str, database: str, engines: Callable[[], Iterable[Engine]]) -> None:
        self.name = name
        self.database = database
        self._engines = engines

    async def create_database(self, statement: Statement) -> None:
        """Nothing: each node is prepared by itself (app/store/cluster.py)."""

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        try:
            return await self._first(lambda engine: engine.fetch(statement, parameters))
        except EngineError as error:
            if error.code in UNREACHED:
                raise EngineError(error.code, written=False, detail=error.detail) from None
            raise

    async def is_granted(self, statement: Statement) -> bool:
        return await self._first(lambda engine: engine.is_granted(statement))

    async def execute(
        self,
        statement: Statement,
        parameters: Parameters | None = None,
        rows: bytes | None = None,
        *,
        query_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        await self._first(
            lambda engine: engine.execute(statement, parameters, rows, query_id=query_id, timeout_s=timeout_s)
        )

    async def close(self) -> None:
        """Nothing: the nodes are closed by whoever opened them."""

    async def _first(self, ask: Callable[[Engine], Awaitable[Answer]]) -> Answer:
        failed = EngineError(None, written=False, detail=f"no node of {self.name} answers")
        for engine in self._engines():
            try:
                return await ask(engine)
            except EngineError as error:
                if error.code is not None or error.written is not False:
                    raise
                failed = error
        raise failed
