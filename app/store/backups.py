"""Backs the database up and restores it, by ClickHouse's own BACKUP and RESTORE."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from app.domain.errors import StartupError
from app.store.engine import Engine, EngineError, Result, decode_rows
from app.store.migrations import load_migrations, migrate
from app.store.statements import Statement

LOOK_EVERY_S = 0.2
NAME = re.compile(r"[\w-][\w.-]{0,99}", re.ASCII)


class Progress(msgspec.Struct, frozen=True):
    """How far a backup or restore is; bytes of the tables, files so far."""

    status: str
    error: str
    bytes: int
    files: int


class Restored(msgspec.Struct, frozen=True):
    """What a restored database holds; `newest` is the time of its newest signal, 1970-01-01 where there is none."""

    signals: int
    newest: datetime
    sites: int
    keys: int


class _Name(msgspec.Struct, frozen=True):
    name: str


class Backups:
    """The backups of one database, in folders that ClickHouse may write to: those of a disk, or below the path that
    its configuration allows."""

    def __init__(self, engine: Engine, statements: Mapping[str, Statement]) -> None:
        self._engine = engine
        self._statements = statements

    async def make(self, name: str, disk: str | None, show: Callable[[Progress], None]) -> Progress:
        """Make a backup while everything runs, and return how much it is. Raises EngineError, or StartupError when
        ClickHouse cannot."""
        return await self._run("to", name, disk, show)

    async def restore(self, name: str, disk: str | None, show: Callable[[Progress], None]) -> Restored:
        """Restore a backup into an empty database, bring it to this version's schema, and return what it holds.

        Raises StartupError when the database is not empty or ClickHouse cannot, and EngineError.
        """
        database = self._engine.database
        if existing := await self._objects():
            raise StartupError(
                f"database {database} is not empty, it has {existing[0]}; "
                "a restore never writes over anything; docs/backup.md says how to drop it or set it aside"
            )
        await self._run("from", name, disk, show)
        if not await self._objects():
            raise StartupError(
                f"backup {name} is of a database of another name than {database}, and was restored under that one; "
                "name it in PULSEHOUSE_CLICKHOUSE_URL"
            )
        # Views, and the table of salts, are not in a backup: every migration makes what is missing.
        await migrate(self._engine, self._statements, load_migrations(), again=True)
        body = await self._engine.fetch(self._statements["backup/restored"])
        (restored,) = decode_rows(body, msgspec.json.Decoder(Result[Restored]))
        return restored

    async def _objects(self) -> list[str]:
        """The names of tables and views that the database has."""
        body = await self._engine.fetch(self._statements["doctor/objects"])
        return [row.name for row in decode_rows(body, msgspec.json.Decoder(Result[_Name]))]

    async def _run(self, direction: str, name: str, disk: str | None, show: Callable[[Progress], None]) -> Progress:
        if disk:
            await self._engine.execute(self._statements[f"backup/{direction}_disk"], {"disk": disk, "name": name})
        else:
            await self._engine.execute(self._statements[f"backup/{direction}_file"], {"name": name})
        place = f"Disk('{disk}', '{name}')" if disk else f"File('{name}')"
        while True:
            body = await self._engine.fetch(self._statements["backup/progress"], {"place": place})
            rows = decode_rows(body, msgspec.json.Decoder(Result[Progress]))
            if not rows:
                raise EngineError(None, detail="ClickHouse does not know of the backup any more; was it restarted?")
            progress = rows[0]
            if progress.error or progress.status.endswith(("_FAILED", "_CANCELLED")):
                raise StartupError(f"ClickHouse could not: {_first_sentence(progress.error or progress.status)}")
            show(progress)
            if progress.status in ("BACKUP_CREATED", "RESTORED"):
                return progress
            await asyncio.sleep(LOOK_EVERY_S)


def _first_sentence(error: str) -> str:
    """What ClickHouse says, without its code, version and stack."""
    said = re.search(r"DB::Exception: (.+?)(?: \([A-Z_0-9]+\)|, Stack trace|$)", error, re.DOTALL)
    return " ".join((said[1] if said else error).split())[:300]
