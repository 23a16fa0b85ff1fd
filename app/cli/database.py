"""Opens the store for a command, with the settings of the environment."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from app.domain.errors import StartupError
from app.settings import Settings, read_settings
from app.store.store import Store
from app.wiring import create_engine, create_store

Result = TypeVar("Result")


def with_store(work: Callable[[Store], Awaitable[Result]], environment: Mapping[str, str] = os.environ) -> Result:
    """Run `work` on the database that the environment names, migrated. Raises StartupError or EngineError."""

    async def session() -> Result:
        settings = read_settings(environment)
        require_free_folder(settings)
        store = create_store(settings, create_engine(settings))
        try:
            await store.prepare()
            return await work(store)
        finally:
            await store.close(0)

    return asyncio.run(session())


def require_free_folder(settings: Settings) -> None:
    """Raise StartupError when another process has the folder of the embedded engine.

    The engine notices too, but says so in lines of its own on standard error.
    """
    if settings.clickhouse_url:
        return
    folder = Path(settings.data_dir).expanduser()
    try:
        with (folder / "status").open("rb") as status:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartupError(
            f"{folder} is in use by another Pulsehouse process; stop it, or set PULSEHOUSE_DATA_DIR to another folder"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        pass  # a new folder; or none, which opening it will tell
