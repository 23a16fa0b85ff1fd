"""Opens the store for a command, with the settings of the environment."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.settings import read_settings
from app.store.store import Store
from app.wiring import create_engine, create_store

Result = TypeVar("Result")


def with_store(work: Callable[[Store], Awaitable[Result]]) -> Result:
    """Run `work` on a database that is migrated, and close it. Raises StartupError or EngineError."""

    async def session() -> Result:
        settings = read_settings(os.environ)
        store = create_store(settings, create_engine(settings))
        try:
            await store.prepare()
            return await work(store)
        finally:
            await store.close(0)

    return asyncio.run(session())
