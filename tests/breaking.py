"""`pulsehouse serve` whose writer ends with a signal of page /break: `python -m tests.breaking --port PORT ...`."""

import asyncio
import os
from typing import Any

from granian import Granian

from app import wiring
from app.cli import serve
from app.settings import Settings, read_settings
from app.store.embedded import EmbeddedEngine
from app.store.server import ServerEngine


def create_engine(settings: Settings) -> ServerEngine | EmbeddedEngine:
    engine = wiring.create_engine(settings)
    execute = engine.execute

    async def breaking(statement: Any, parameters: Any = None, rows: bytes | None = None, **options: Any) -> None:
        if b'"/break"' in (rows or b""):
            raise asyncio.CancelledError  # what no code of ours should catch
        await execute(statement, parameters, rows, **options)

    engine.execute = breaking  # type: ignore[method-assign]
    return engine


def create_worker() -> Any:
    settings = read_settings(os.environ)
    return wiring.create_app(settings, wiring.create_store(settings))


def main() -> None:
    serve.create_engine = create_engine
    serve.Granian = lambda _target, **options: Granian("tests.breaking:create_worker", **options)  # type: ignore
    serve.serve()


if __name__ == "__main__":
    main()
