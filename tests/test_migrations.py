"""The schema: how a database comes to it, whatever happens on the way, and that it explains itself."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StartupError
from app.settings import Settings
from app.store.engine import Engine, EngineError
from app.store.migrations import Migration, load_migrations, migrate
from app.store.server import ServerEngine
from app.store.statements import Statement, load_statements
from app.wiring import create_store
from tests.conftest import make_engine

STATEMENTS = load_statements()
NAMES = [migration.name for migration in load_migrations()]

Connect = Callable[..., Awaitable[Engine]]


@pytest.fixture
async def connect(
    engine_name: str, request: pytest.FixtureRequest, embedded_folder: Path, database: str
) -> AsyncIterator[Connect]:
    """Open an engine on the test's database, or on a second one; each is an instance of the service."""
    server = request.getfixturevalue("server_url") if engine_name == "server" else ""
    opened: list[Engine] = []

    async def connect(suffix: str = "") -> Engine:
        engine = make_engine(engine_name, server, embedded_folder, database + suffix)
        await engine.create_database(STATEMENTS["create_database"])
        opened.append(engine)
        return engine

    yield connect
    for name in sorted({engine.database for engine in opened}, reverse=True):  # its own last
        await opened[0].execute(Statement("test", f"DROP DATABASE IF EXISTS {name}"))
    for engine in opened:
        await engine.close()


async def select(engine: Engine, sql: str) -> list[list[str]]:
    rows = await engine.fetch(Statement("test", sql + " FORMAT TSVRaw"))
    return [line.split("\t") for line in rows.decode().splitlines()]


async def ledger(engine: Engine) -> list[str]:
    return [name for (name,) in await select(engine, "SELECT name FROM schema_migrations FINAL ORDER BY version")]


async def schema(engine: Engine) -> dict[str, str]:
    rows = await select(
        engine,
        "SELECT name, replaceAll(create_table_query, '\\n', ' ') FROM system.tables "
        f"WHERE database = '{engine.database}' AND name NOT LIKE '.inner%' ORDER BY name",
    )
    return {name: text.replace(engine.database, "db") for name, text in rows}


def three_tables(folder: Path) -> list[Migration]:
    for number in (1, 2, 3):
        text = f"CREATE TABLE IF NOT EXISTS t{number} (x UInt8) ENGINE = MergeTree ORDER BY x"
        (folder / f"{number:04d}_t{number}.sql").write_text(text)
    return load_migrations(folder)


class StoppingEngine:
    """An engine whose process dies after some statements."""

    def __init__(self, engine: Engine, statements: int) -> None:
        self.name, self.database = engine.name, engine.database
        self.create_database = engine.create_database
        self.fetch = engine.fetch
        self.is_granted = engine.is_granted
        self._engine = engine
        self._left = statements

    async def execute(self, *arguments: Any, **options: Any) -> None:
        if not self._left:
            raise EngineError(None)
        self._left -= 1
        await self._engine.execute(*arguments, **options)

    async def close(self) -> None: ...


async def test_an_empty_database_gets_every_migration_and_a_second_start_changes_nothing(connect: Connect) -> None:
    engine = await connect()
    assert await migrate(engine, STATEMENTS, load_migrations()) == NAMES
    before = await schema(engine)
    assert await migrate(engine, STATEMENTS, load_migrations()) == []
    assert await ledger(engine) == NAMES
    assert await schema(engine) == before


async def test_instances_that_start_together_end_with_one_schema(connect: Connect) -> None:
    engines = [await connect() for _ in range(4)]
    await asyncio.gather(*(migrate(engine, STATEMENTS, load_migrations()) for engine in engines))
    assert await ledger(engines[0]) == NAMES
    alone = await connect("_alone")
    await migrate(alone, STATEMENTS, load_migrations())
    assert await schema(engines[0]) == await schema(alone)


async def test_a_start_that_died_anywhere_is_completed_by_the_next(connect: Connect, tmp_path: Path) -> None:
    migrations = three_tables(tmp_path)
    engine = await connect()
    # The ledger; then of each migration its statement, and its row of the ledger.
    for _ in migrations:
        for statements in (0, 1, 2, 3):
            with pytest.raises(EngineError):
                await migrate(StoppingEngine(engine, statements), STATEMENTS, migrations)
            if len(await ledger(engine) if statements else []) == len(migrations) - 1:
                break
    assert await migrate(engine, STATEMENTS, migrations) == ["0003_t3"]
    assert await ledger(engine) == ["0001_t1", "0002_t2", "0003_t3"]


async def test_a_statement_that_ran_without_being_recorded_runs_again(connect: Connect) -> None:
    engine = await connect()
    await migrate(engine, STATEMENTS, load_migrations())
    whole = await schema(engine)
    await engine.execute(Statement("test", "TRUNCATE TABLE schema_migrations"))
    assert await migrate(engine, STATEMENTS, load_migrations()) == NAMES
    assert await schema(engine) == whole


async def test_an_edited_missing_or_unknown_migration_stops_the_start(connect: Connect, tmp_path: Path) -> None:
    migrations = three_tables(tmp_path)
    engine = await connect()
    await migrate(engine, STATEMENTS, migrations)

    async def refused(changed: list[Migration]) -> str:
        with pytest.raises(StartupError) as error:
            await migrate(engine, STATEMENTS, changed)
        return str(error.value)

    assert await refused(migrations[:2]) == (
        "the database has migration 0003_t3, which this version does not know; run a newer version"
    )
    (tmp_path / "0002_t2.sql").write_text("SELECT 1")
    assert await refused(load_migrations(tmp_path)) == (
        "migrations/0002_t2.sql was edited after it was applied; restore it, and put the change into a new one"
    )
    (tmp_path / "0002_t2.sql").rename(tmp_path / "0002_other.sql")
    assert await refused(load_migrations(tmp_path)) == (
        "migration 0002_t2 was applied but its file is missing; restore migrations/0002_t2.sql"
    )
    await engine.execute(
        Statement("test", "ALTER TABLE schema_migrations DELETE WHERE version = 2 SETTINGS mutations_sync = 1")
    )
    assert await refused(migrations) == "schema_migrations lacks 0002 but has later migrations; restore the table"
    assert [name for name in await schema(engine) if name != "schema_migrations"] == ["t1", "t2", "t3"]


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["0001_a", "0003_c"], "0003_c.sql: expected number 0002"),
        (["0001_a", "0001_b"], "0001_b.sql: expected number 0002"),
        (["0000_a"], "0000_a.sql: expected number 0001"),
        (["0001_a", "later"], "later.sql: expected number 0002"),
        (["1_a"], "1_a.sql: expected number 0001"),
    ],
)
def test_files_that_are_not_numbered_one_after_the_other_are_refused(
    tmp_path: Path, names: list[str], refused: str
) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").write_text("SELECT 1")
    with pytest.raises(StartupError, match=re.escape(f"migrations/{refused}, as NNNN_name.sql")):
        load_migrations(tmp_path)


def test_every_migration_says_why_and_what_becomes_of_existing_data() -> None:
    for migration in load_migrations():
        header = [line for line in migration.statement.text.splitlines() if line.startswith("--")]
        assert header[0].startswith(f"-- {migration.name.replace('_', ' ', 1)}: ")
        assert [line[3:11].strip() for line in header if line[3:7] in ("Why ", "Data")] == ["Why", "Data"]
        assert "IF NOT EXISTS" in migration.statement.text


async def test_every_view_fills_its_whole_target_and_every_column_is_explained(connect: Connect) -> None:
    engine = await connect()
    await migrate(engine, STATEMENTS, load_migrations())
    database = f"database = '{engine.database}'"
    columns: dict[str, dict[str, str]] = {}
    for table, column, comment in await select(
        engine, f"SELECT table, name, comment FROM system.columns WHERE {database} ORDER BY table, position"
    ):
        columns.setdefault(table, {})[column] = comment
    views = await select(
        engine,
        f"SELECT name, extract(create_table_query, ' TO {engine.database}\\.(\\w+)') FROM system.tables "
        f"WHERE {database} AND engine = 'MaterializedView'",
    )
    assert len(views) == len([name for name in NAMES if name.endswith("_mv")])
    for view, target in views:
        assert columns.pop(view).keys() == columns[target].keys()
    for table, explained in columns.items():
        assert all(explained.values()), f"{table}: a column has no comment"
    uncommented = await select(
        engine, f"SELECT name FROM system.tables WHERE {database} AND comment = '' AND engine != 'MaterializedView'"
    )
    assert uncommented == []


async def test_a_database_that_may_not_be_created_is_named_with_the_missing_right(
    server_url: str, database: str
) -> None:
    host, _, port = server_url.rpartition("@")[2].partition("/")[0].partition(":")
    refusal = b"Code: 497. DB::Exception: ann: Not enough privileges. (ACCESS_DENIED)"
    answer = b"HTTP/1.1 403 Forbidden\r\nX-ClickHouse-Exception-Code: 497\r\nConnection: close\r\n"

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A server that refuses CREATE DATABASE."""
        there, to_server = await asyncio.open_connection(host, int(port))

        async def back() -> None:
            while data := await there.read(65_536):
                writer.write(data)

        backwards = asyncio.create_task(back())
        while data := await reader.read(65_536):
            if b"CREATE DATABASE" in data:
                writer.write(answer + b"Content-Length: %d\r\n\r\n%b" % (len(refusal), refusal))
                break
            to_server.write(data)
        backwards.cancel()
        to_server.close()
        writer.close()

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        at = proxy.sockets[0].getsockname()[1]
        user = server_url.partition("//")[2].rpartition("@")[0]
        url = f"http://{user}@127.0.0.1:{at}/{database}"
        engine = ServerEngine(url, query_timeout_s=5, insert_timeout_s=5)
        store = create_store(Settings(), engine=engine)
        with pytest.raises(EngineError) as error:
            await store.prepare()
        assert (error.value.code, error.value.written) == (497, False)
        await store.close(0)
    finally:
        proxy.close()
