"""Opens the store, or the databases as they are, for a command, with the settings of the environment."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from app.log import configure_logging
from app.parts import create_cluster
from app.settings import Settings, read_settings
from app.store.embedded import DATABASE
from app.store.folder import hold_folder
from app.store.places import Places, on_cluster, on_one_machine
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


def with_places(
    work: Callable[[Places, Mapping[str, Statement]], Awaitable[Result]],
    *,
    create: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Result:
    """Run `work` on the database or the cluster that the environment names, as it is: it is not migrated, and made
    where it is missing only with `create`. Raises StartupError or EngineError."""

    async def session() -> Result:
        settings = read_settings(environment)
        configure_logging("command", as_json=settings.log_format == "json", level="warning")
        statements = load_statements()
        if settings.clickhouse_cluster:
            cluster = create_cluster(settings, statements)
            try:
                return await work(await on_cluster(cluster, create=create), statements)
            finally:
                await cluster.close()
        engine = create_engine(settings)
        with own_folder(settings):
            try:
                if create or not settings.clickhouse_url:
                    await engine.create_database(statements["create_database"])
                return await work(on_one_machine(engine), statements)
            finally:
                await engine.close()

    return asyncio.run(session())


def own_folder(settings: Settings) -> AbstractContextManager[None]:
    """Have the folder of the embedded engine, where that is used. Raises StartupError when it is not to be had."""
    if settings.clickhouse_url:
        return nullcontext()
    return hold_folder(Path(settings.data_dir).expanduser(), DATABASE)
