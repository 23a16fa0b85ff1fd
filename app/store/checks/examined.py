"""What is examined, and how it is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from app.domain.clock import Clock
from app.store.engine import Engine, Result, decode_rows
from app.store.migrations import Migration
from app.store.schema import Layout
from app.store.statements import Statement

Row = TypeVar("Row")


class _Named(msgspec.Struct, frozen=True):
    name: str


class Examined:
    """The database of an installation; of a cluster a node."""

    def __init__(
        self,
        engine: Engine,
        whole: Engine,
        statements: Mapping[str, Statement],
        migrations: Sequence[Migration],
        clock: Clock,
        *,
        backup_folder: Path | None = None,
        layout: Layout | None = None,
    ) -> None:
        """`engine` has the tables with the rows, `whole` the views, the ledger and, on a cluster, whose `layout` is
        given, the tables of all shards; on one machine they are the same."""
        self.engine = engine
        self.whole = whole
        self.layout = layout
        self.statements = statements
        self.migrations = migrations
        self.clock = clock
        self.backup_folder = backup_folder
        self.version = ""
        """Of ClickHouse; empty until check_version has asked."""

    async def ask(self, name: str) -> str:
        """The answer of a statement, as text. Raises EngineError."""
        return (await self.engine.fetch(self.statements[name])).decode(errors="replace").strip()

    async def rows(self, name: str, row: type[Row], engine: Engine | None = None) -> list[Row]:
        """The rows of a statement, asked where the rows are if nothing else is said. Raises EngineError."""
        body = await (engine or self.engine).fetch(self.statements[name])
        return decode_rows(body, msgspec.json.Decoder(Result[row]))  # type: ignore[valid-type]

    async def objects(self) -> set[str]:
        """The names of all tables and views. Raises EngineError."""
        engines = [self.engine] if self.layout is None else [self.engine, self.whole]
        return {row.name for engine in engines for row in await self.rows("doctor/objects", _Named, engine)}
