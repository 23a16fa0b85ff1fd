"""Opens the store or the database alone for a command, with the settings of the environment."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from app.domain.errors import StartupError
from app.log import configure_logging
from app.settings import Settings, read_settings
from app.store.embedded import DATABASE
from app.store.engine import Engine
from app.store.folder import hold_folder
from app.store.statements import Statement, load_statements
from app.store.store import Store
from app.wiring import create_engine, create_store

Result = TypeVar("Result")


def with_store(work: Callable[[Store], Awaitable[Result]], environment: Mapping[str, str] = os.environ) -> Result:
    """Run `work` on the database that the environment names, migrated. Raises StartupError or EngineError."""

    async def session() -> Result:
        settings = read_settings(environment)
        # A command says what it does itself; the log has what is wrong.
        configure_logging("command", as_json=settings.log_format == "json", level="warning")
        with own_folder(settings):
            store = create_store(settings)
            try:
                await store.prepare()
                return await work(store)
            finally:
                await store.close(0)

    return asyncio.run(session())


def with_engine(
    work: Callable[[Engine, Mapping[str, Statement]], Awaitable[Result]],
    *,
    create: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Result:
    """Run `work` on the database that the environment names, as it is: it is not migrated, and made where it is
    missing only with `create`. Raises StartupError or EngineError."""

    async def session() -> Result:
        settings = read_settings(environment)
        configure_logging("command", as_json=settings.log_format == "json", level="warning")
        statements = load_statements()
        engine = create_one_engine(settings)
        with own_folder(settings):
            try:
                if create or not settings.clickhouse_url:
                    await engine.create_database(statements["create_database"])
                return await work(engine, statements)
            finally:
                await engine.close()

    return asyncio.run(session())


def create_one_engine(settings: Settings) -> Engine:
    """The engine that the settings name. Raises StartupError on a cluster, whose rows are in tables of its nodes: a
    backup of the others would be empty."""
    if settings.clickhouse_cluster:
        raise StartupError(
            "this looks at one ClickHouse, and PULSEHOUSE_CLICKHOUSE_CLUSTER names a cluster; leave that empty, and "
            "name a node with its database ..._local in PULSEHOUSE_CLICKHOUSE_URL: docs/cluster.md, Backups"
        )
    return create_engine(settings)


def own_folder(settings: Settings) -> AbstractContextManager[None]:
    """Have the folder of the embedded engine, where that is used. Raises StartupError when it is not to be had."""
    if settings.clickhouse_url:
        return nullcontext()
    return hold_folder(Path(settings.data_dir).expanduser(), DATABASE)
