"""The service with a clock that stands at the time in a file: `python -m tests.kit.clocked --port PORT FILE`."""

import argparse
import asyncio
import os
from datetime import datetime
from pathlib import Path

from app.cli.serve import serve_here
from app.wiring import create_store, read_settings_and_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    settings = read_settings_and_log("main", os.environ)
    store = create_store(settings, clock=lambda: datetime.fromisoformat(given.file.read_text(encoding="utf-8")))
    asyncio.run(serve_here(settings, store, "127.0.0.1", given.port))


if __name__ == "__main__":
    main()
