"""What is examined, and how it is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from app.domain.clock import Clock
from app.store.engine import Engine, Result, decode_rows
from app.store.migrations import Migration
from app.store.statements import Statement

Row = TypeVar("Row")


class Examined:
    """The database of an installation."""

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        migrations: Sequence[Migration],
        clock: Clock,
        backup_folder: Path | None,
    ) -> None:
        self.engine = engine
        self.statements = statements
        self.migrations = migrations
        self.clock = clock
        self.backup_folder = backup_folder

    async def ask(self, name: str) -> str:
        """The answer of a statement, as text. Raises EngineError."""
        return (await self.engine.fetch(self.statements[name])).decode(errors="replace").strip()

    async def rows(self, name: str, row: type[Row]) -> list[Row]:
        """The rows of a statement. Raises EngineError."""
        return decode_rows(await self.engine.fetch(self.statements[name]), msgspec.json.Decoder(Result[row]))  # type: ignore[valid-type]
