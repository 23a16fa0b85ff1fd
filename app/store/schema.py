"""Brings a database to the state that the service needs, on one machine: created, fitting, migrated."""

from collections.abc import Mapping

import msgspec

from app.domain.errors import StartupError
from app.store.engine import Engine, Result, decode_rows
from app.store.migrations import Apply, load_migrations, migrate
from app.store.statements import Statement


class UnfitSetting(msgspec.Struct, frozen=True):
    """A setting of the ClickHouse user, or a table, that the service cannot work with, and what it must be."""

    name: str
    value: str
    fitting: str


class UnfitTable(msgspec.Struct, frozen=True):
    """A table that is not what the settings of the service demand, and what it must be."""

    name: str
    engine: str
    fitting: str


_SETTINGS = msgspec.json.Decoder(Result[UnfitSetting])
_TABLES = msgspec.json.Decoder(Result[UnfitTable])


class Layout(msgspec.Struct, frozen=True):
    """What the tables of a database are to be; as it stands: those of one machine."""

    own: str = ""
    """Database of the node's own tables where others are Distributed over them."""
    cluster: str = ""
    shards: int = 1
    replicated: bool = False


async def prepare_database(
    engine: Engine,
    statements: Mapping[str, Statement],
    layout: Layout,
    apply: Apply | None = None,
    *,
    again: bool = False,
) -> list[str]:
    """Create the database and apply migrations, with `again` all; return the names of the new ones.

    Raises StartupError or EngineError.
    """
    await engine.create_database(statements["create_database"])
    await _require_fitting_settings(engine, statements)
    await require_fitting_tables(engine, statements, layout)
    return await migrate(engine, statements, load_migrations(), apply, again=again)


async def _require_fitting_settings(engine: Engine, statements: Mapping[str, Statement]) -> None:
    for unfit in decode_rows(await engine.fetch(statements["unfit_settings"]), _SETTINGS):
        raise StartupError(
            f"ClickHouse setting {unfit.name} is {unfit.value!r} for this user but must be {unfit.fitting}; "
            "change it in the user's profile"
        )


async def require_fitting_tables(engine: Engine, statements: Mapping[str, Statement], layout: Layout) -> None:
    """Raise StartupError where a table is of another engine than the settings demand, or EngineError."""
    for unfit in await unfit_tables(engine, statements, layout):
        raise StartupError(f"table {unfit.name} is {unfit.engine.split(' ')[0]} but must be {unfit.fitting}")


async def unfit_tables(engine: Engine, statements: Mapping[str, Statement], layout: Layout) -> list[UnfitTable]:
    """The tables of another engine than the settings demand. Raises EngineError."""
    asked = {"whole": engine.database, **msgspec.structs.asdict(layout)}
    return decode_rows(await engine.fetch(statements["cluster/unfit_tables"], asked), _TABLES)
