"""Examines the database: what would break answers, exactly-once or promises, and what will before long."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from app.domain.clock import Clock
from app.domain.findings import Finding
from app.store.checks import database, operation
from app.store.checks.examined import Examined
from app.store.engine import Engine, EngineError
from app.store.migrations import Migration
from app.store.statements import Statement

DENIED = 497

CHECKS: Sequence[tuple[str, Callable[[Examined], Awaitable[list[Finding]]]]] = (
    ("version", database.check_version),
    ("rights", database.check_rights),
    ("profile", database.check_profile),
    ("clock", database.check_clock),
    ("schema", database.check_schema),
    ("tables", database.check_tables),
    ("parts", operation.check_parts),
    ("disk", operation.check_disks),
    ("signals", operation.check_signals),
    ("salts", operation.check_salts),
    ("retention", operation.check_retention),
    ("backups", operation.check_backups),
    ("logs", operation.check_system_logs),
)
"""In the order in which they are shown."""


async def examine(
    engine: Engine,
    statements: Mapping[str, Statement],
    migrations: Sequence[Migration],
    clock: Clock,
    backup_folder: Path | None,
) -> AsyncIterator[Finding]:
    """Yield what is found, check by check; changes nothing. Raises EngineError when ClickHouse does not answer at all.

    `backup_folder` is where the embedded engine has its backups; None with a server.
    """
    examined = Examined(engine, statements, migrations, clock, backup_folder)
    await examined.ask("version")
    yield Finding("clickhouse", "ok", f"{engine.name} answers")
    for name, check in CHECKS:
        try:
            for finding in await check(examined):
                yield finding
        except EngineError as error:
            right = "; give the user that right to have this looked at" if error.code == DENIED else ""
            yield Finding(name, "unknown", error.detail, f"see what ClickHouse said{right}")
