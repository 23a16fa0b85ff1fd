"""The keys that are pressed in a terminal, by their names."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
    b"\x1b[1~": "home",
    b"\x1b[F": "end",
    b"\x1b[4~": "end",
    b"\x1b": "esc",
    b"\r": "enter",
    b"\n": "enter",
    b"\t": "tab",
    b"\x7f": "backspace",
    b"\x03": "ctrl-c",
    b"\x04": "ctrl-d",
    b"": "ctrl-d",  # the terminal is gone
}
SEQUENCE_S = 0.05
"""So long the rest of a key may take that begins with Escape; over a slow line it comes in parts."""


class Keyboard:
    """Reads keys without Enter and without echo."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._pressed: asyncio.Queue[bytes] = asyncio.Queue()

    def note(self) -> None:
        """Take what the terminal has."""
        try:
            read = os.read(self._file, 64)
        except OSError:
            read = b""
        if not read:
            asyncio.get_running_loop().remove_reader(self._file)
        self._pressed.put_nowait(read)

    async def keys(self, within_s: float) -> list[str]:
        """The keys pressed next; none when nothing is pressed within some seconds."""
        read = await self._next(within_s)
        if read is None:
            return []
        while read in (b"\x1b", b"\x1b[", b"\x1bO") and (rest := await self._next(SEQUENCE_S)):
            read += rest
        return list(names_of(read))

    async def _next(self, within_s: float) -> bytes | None:
        try:
            return await asyncio.wait_for(self._pressed.get(), within_s)
        except TimeoutError:
            return None


def names_of(read: bytes) -> Iterator[str]:
    """The names of the keys in what a terminal sent at once; of one that has no name, what it sent."""
    if not read:
        yield NAMES[read]
    while read:
        known = next((keys for keys in NAMES if keys and read.startswith(keys)), read[:1])
        yield NAMES.get(known, known.decode("latin-1"))
        read = read[len(known) :]


@contextmanager
def keyboard() -> Iterator[Keyboard]:
    """The keyboard of the terminal, within a running loop."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    loop = asyncio.get_running_loop()
    made = Keyboard(file)
    try:
        tty.setcbreak(file)
        loop.add_reader(file, made.note)
        yield made
    finally:
        loop.remove_reader(file)
        termios.tcsetattr(file, termios.TCSADRAIN, before)
