"""The folder of the embedded engine: one process has it at a time, and what is damaged in it is named."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.errors import StartupError

LOCK = "pulsehouse.lock"


@contextmanager
def hold_folder(folder: Path, database: str) -> Iterator[None]:
    """Make the folder where it is missing, and have it for this process alone.

    The engine has a lock of its own, but tells in no error that it found it taken. Raises StartupError when another
    process has the folder, when it cannot be used, or when parts of the database are gone.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise StartupError(
            f"PULSEHOUSE_DATA_DIR: cannot use {folder}: {error.strerror}; choose a folder that can be written"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartupError(
                f"{folder} is in use by another Pulsehouse process; "
                "stop it, or set PULSEHOUSE_DATA_DIR to another folder"
            ) from None
        _require_whole(folder, database)
        yield


def _require_whole(folder: Path, database: str) -> None:
    """Raise StartupError when a part of the database is gone in whose place the engine would make an empty one."""
    definition, tables = folder / "metadata" / f"{database}.sql", folder / "data" / database
    links = [definition.with_suffix(""), *tables.iterdir()] if tables.is_dir() else []
    for path in [definition, *links] if links else []:
        if not path.exists():
            raise StartupError(_damaged(folder, f"{path.relative_to(folder)} is missing"))


def require_readable(folder: Path) -> None:
    """Raise StartupError when the engine, opening the folder, has set aside what it could not read."""
    parts = sorted(path.relative_to(folder) for path in folder.glob("store/*/*/detached/broken*"))
    if parts:
        what = f"{len(parts)} of its parts cannot be read, the first is {parts[0]}"
        raise StartupError(f"{_damaged(folder, what)}, or delete detached/broken* to go on without what they held")


def _damaged(folder: Path, what: str) -> str:
    return f"PULSEHOUSE_DATA_DIR: {folder} is damaged: {what}; restore a backup"
