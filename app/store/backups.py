"""Backs the database up and restores it, by ClickHouse's own BACKUP and RESTORE."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import msgspec

from app.domain.errors import StartupError
from app.store.cluster import Cluster
from app.store.engine import Engine, EngineError, Result, decode_rows
from app.store.migrations import load_migrations, migrate
from app.store.places import Places
from app.store.statements import Statement, with_identifiers

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


class Made(msgspec.Struct, frozen=True):
    """A backup: its name, the node that has it (empty on one machine), bytes of the tables, files."""

    name: str
    node: str
    bytes: int
    files: int


class Backups:
    """The backups of one database, or of every shard, in folders that ClickHouse may write to: those of a disk, or
    below the path that its configuration allows. Those of shards have `-shard1` and so on behind the name."""

    def __init__(self, places: Places, statements: Mapping[str, Statement]) -> None:
        self._places = places
        self._statements = statements

    async def make(self, name: str, disk: str | None, show: Callable[[Progress], None]) -> list[Made]:
        """Make a backup while everything runs, of all shards at once. Raises EngineError, or StartupError when
        ClickHouse cannot."""
        made = await self._run("to", name, disk, show)
        return [
            Made(self._name(name, number), shard.name if self._places.cluster else "", progress.bytes, progress.files)
            for number, (shard, progress) in enumerate(zip(self._places.shards, made, strict=True), start=1)
        ]

    async def restore(self, name: str, disk: str | None, show: Callable[[Progress], None]) -> Restored:
        """Restore a backup into empty databases, bring them to this version's schema, and return what they hold.

        Raises StartupError when a database is not empty, a node does not answer or ClickHouse cannot, and EngineError.
        """
        cluster = self._places.cluster
        own = [node.own for node in cluster.nodes] if cluster else [self._places.whole]
        for engine in [*own, *(node.whole for node in cluster.nodes)] if cluster else own:
            await engine.create_database(self._statements["create_database"])
            if existing := await self._objects(engine):
                raise StartupError(
                    f"database {engine.database}{_of(engine, cluster)} is not empty, it has {existing[0]}; "
                    "a restore never writes over anything; docs/backup.md says how to drop it or set it aside"
                )
        await self._run("from", name, disk, show)
        for number, shard in enumerate(self._places.shards, start=1):
            if not await self._objects(shard):
                raise StartupError(
                    f"backup {self._name(name, number)} is of a database of another name than {shard.database}, "
                    "and was restored under that one; name it in PULSEHOUSE_CLICKHOUSE_URL"
                )
        # Views, and the table of salts, are not in a backup: every migration makes what is missing.
        if cluster:
            await cluster.prepare(again=True)
        else:
            await migrate(self._places.whole, self._statements, load_migrations(), again=True)
        body = await self._places.whole.fetch(self._statements["backup/restored"])
        (restored,) = decode_rows(body, msgspec.json.Decoder(Result[Restored]))
        return restored

    def _name(self, name: str, number: int) -> str:
        return f"{name}-shard{number}" if self._places.cluster else name

    async def _objects(self, engine: Engine) -> list[str]:
        """The names of tables and views that a database has."""
        body = await engine.fetch(self._statements["doctor/objects"])
        return [row.name for row in decode_rows(body, msgspec.json.Decoder(Result[_Name]))]

    async def _run(
        self, direction: str, name: str, disk: str | None, show: Callable[[Progress], None]
    ) -> list[Progress]:
        """Run a backup or restore on every shard, and wait for all, whatever becomes of one."""
        so_far: dict[int, Progress] = {}

        def show_sum(number: int, progress: Progress) -> None:
            so_far[number] = progress
            of_all = so_far.values()
            show(Progress("", "", sum(one.bytes for one in of_all), sum(one.files for one in of_all)))

        outcomes = await asyncio.gather(
            *(
                self._run_on(shard, direction, self._name(name, number), disk, partial(show_sum, number))
                for number, shard in enumerate(self._places.shards, start=1)
            ),
            return_exceptions=True,
        )
        done = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            done.append(outcome)
        return done

    async def _run_on(
        self, shard: Engine, direction: str, name: str, disk: str | None, show: Callable[[Progress], None]
    ) -> Progress:
        statement = self._statements[f"backup/{direction}_{'disk' if disk else 'file'}"]
        names = {"own": shard.database, "database": self._places.whole.database}
        await shard.execute(
            with_identifiers(statement, names), {"disk": disk, "name": name} if disk else {"name": name}
        )
        place = f"Disk('{disk}', '{name}')" if disk else f"File('{name}')"
        while True:
            body = await shard.fetch(self._statements["backup/progress"], {"place": place})
            rows = decode_rows(body, msgspec.json.Decoder(Result[Progress]))
            if not rows:
                raise EngineError(None, detail="ClickHouse does not know of the backup any more; was it restarted?")
            progress = rows[0]
            if progress.error or progress.status.endswith(("_FAILED", "_CANCELLED")):
                what = _first_sentence(progress.error or progress.status)
                raise StartupError(f"ClickHouse{_of(shard, self._places.cluster)} could not: {what}")
            show(progress)
            if progress.status in ("BACKUP_CREATED", "RESTORED"):
                return progress
            await asyncio.sleep(LOOK_EVERY_S)


def _of(engine: Engine, cluster: Cluster | None) -> str:
    """Which node of a cluster is meant; nothing on one machine."""
    return f" of {engine.name}" if cluster else ""


def _first_sentence(error: str) -> str:
    """What ClickHouse says, without its code, version and stack."""
    said = re.search(r"DB::Exception: (.+?)(?: \([A-Z_0-9]+\)|, Stack trace|$)", error, re.DOTALL)
    return " ".join((said[1] if said else error).split())[:300]
