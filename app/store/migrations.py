"""Brings a database to the schema of migrations/: numbered, forward only, recorded with a checksum."""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from app.domain.errors import StartupError
from app.store.engine import Engine, Result, decode_rows
from app.store.statements import MIGRATIONS_FOLDER, Statement

log = logging.getLogger(__name__)

Apply = Callable[[Statement], Awaitable[None]]
"""Carries out the statement of a migration."""


class Migration(msgspec.Struct, frozen=True):
    """One file of migrations/: a number, a name and one statement that is safe to run twice."""

    version: int
    name: str
    sha256: str
    statement: Statement


class Applied(msgspec.Struct, frozen=True):
    """A row of the ledger."""

    version: int
    name: str
    sha256: str


def load_migrations(folder: Path = MIGRATIONS_FOLDER) -> list[Migration]:
    """Return the migrations in order. Raises StartupError when their numbers are not 1, 2, 3, ..."""
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_\w+", path.stem)
        if not match or int(match[1]) != len(migrations) + 1:
            raise StartupError(f"migrations/{path.name}: expected number {len(migrations) + 1:04d}, as NNNN_name.sql")
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        migrations.append(Migration(int(match[1]), path.stem, digest, Statement(path.stem, text)))
    return migrations


async def migrate(
    engine: Engine,
    statements: Mapping[str, Statement],
    migrations: list[Migration],
    apply: Apply | None = None,
    *,
    again: bool = False,
) -> list[str]:
    """Apply what is missing and return the names of what was applied; `apply` carries out a migration's statement.

    With `again` run the others too, which make what is not in a backup.

    Several instances may do this at once: every statement is safe to run twice, and the ledger keeps one row per
    number. Raises StartupError when the ledger and the files disagree, EngineError when ClickHouse fails.
    """
    await engine.execute(statements["ledger/create_ledger"])
    ledger = await engine.fetch(statements["ledger/list"])
    applied = {row.version: row for row in decode_rows(ledger, msgspec.json.Decoder(Result[Applied]))}
    _check(applied, {migration.version: migration for migration in migrations})
    done = []
    for migration in migrations:
        is_new = migration.version not in applied
        if is_new or again:
            await (apply or engine.execute)(migration.statement)
        if is_new:
            await engine.execute(
                statements["ledger/record"],
                {"version": migration.version, "name": migration.name, "sha256": migration.sha256},
            )
            log.info("applied migration %s", migration.name)
            done.append(migration.name)
    return done


def _check(applied: Mapping[int, Applied], known: Mapping[int, Migration]) -> None:
    for version, row in applied.items():
        if version > max(known, default=0):
            raise StartupError(
                f"the database has migration {row.name}, which this version does not know; run a newer version"
            )
        if known[version].name != row.name:
            raise StartupError(
                f"migration {row.name} was applied but its file is missing; restore migrations/{row.name}.sql"
            )
        if known[version].sha256 != row.sha256:
            raise StartupError(
                f"migrations/{row.name}.sql was edited after it was applied; "
                "restore it, and put the change into a new one"
            )
    gaps = set(range(1, max(applied, default=0) + 1)) - applied.keys()
    if gaps:
        raise StartupError(f"schema_migrations lacks {min(gaps):04d} but has later migrations; restore the table")
