"""`pulsehouse serve` whose writer ends with a signal of page /break: `python -m tests.kit.breaking --port PORT ...`."""

import asyncio
from typing import Any

from granian import Granian

from app import wiring
from app.cli import serve
from app.settings import Settings
from app.store.engine import Engine

create_engine = wiring.create_engine


def create_breaking_engine(settings: Settings) -> Engine:
    engine = create_engine(settings)
    execute = engine.execute

    async def breaking(statement: Any, parameters: Any = None, rows: bytes | None = None, **options: Any) -> None:
        if b'"/break"' in (rows or b""):
            raise asyncio.CancelledError  # what no code of ours should catch
        await execute(statement, parameters, rows, **options)

    engine.execute = breaking  # type: ignore[method-assign]
    return engine


def create_worker() -> Any:
    wiring.create_engine = create_breaking_engine
    return wiring.create_worker()


def main() -> None:
    wiring.create_engine = create_breaking_engine
    serve.Granian = lambda _target, **options: Granian("tests.kit.breaking:create_worker", **options)  # type: ignore
    serve.serve()


if __name__ == "__main__":
    main()
