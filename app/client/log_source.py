"""Where a log comes from: a file or a pipe, plain or gzip, read in pieces of bounded size."""

import asyncio
import os
import select
import stat
import zlib
from collections.abc import AsyncIterator

from app.client.access_log import LINE_MAX_BYTES

PIECE_MAX_BYTES = 16_384
"""Of what is read at once, and of what it becomes decompressed: gzip can make a thousand bytes of one."""
WAIT_S = 0.2
GZIP_MAGIC = b"\x1f\x8b"


class Source:
    """The lines of a log, plain or gzip, read in pieces."""

    def __init__(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        """Of the file as it lies there, compressed or not; None for a pipe."""
        self.position_bytes = 0
        self._descriptor = descriptor
        self._is_gzip: bool | None = None
        self._packed = b""
        """Read, and still to be decompressed."""
        self._inflater: zlib._Decompress | None = None

    async def pieces(self) -> AsyncIterator[list[bytes]]:
        """Yield lines as they come; an empty list when none came for a while. Raises EOFError or zlib.error for
        damaged gzip data, OSError when it cannot be read."""
        rest = b""
        while (data := await asyncio.to_thread(self._read)) != b"":
            *lines, rest = (rest + (data or b"")).split(b"\n")
            rest = rest[: LINE_MAX_BYTES + 1]  # still too long, so still malformed, and memory stays bounded
            yield lines
        if rest:
            yield [rest]

    def _read(self) -> bytes | None:
        """Return at most PIECE_MAX_BYTES, none at the end, or None when there are none yet."""
        if not self._packed:
            # Waiting in a read could not be ended by Ctrl-C.
            if not select.select([self._descriptor], [], [], WAIT_S)[0]:
                return None
            data = os.read(self._descriptor, PIECE_MAX_BYTES)
            self.position_bytes += len(data)
            if self._is_gzip is None:
                self._is_gzip = data.startswith(GZIP_MAGIC)
            if not self._is_gzip:
                return data
            if not data:
                if self._inflater:
                    raise EOFError("the gzip data ends too early")
                return b""
            self._packed = data
        return self._inflate() or None

    def _inflate(self) -> bytes:
        """Decompress a piece; a file may hold several gzip members, as `cat a.gz b.gz` makes, and zeros after each."""
        if self._inflater is None:
            self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                return b""
            self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        data = self._inflater.decompress(self._packed, PIECE_MAX_BYTES)
        if self._inflater.eof:
            self._packed, self._inflater = self._inflater.unused_data, None
        else:
            self._packed = self._inflater.unconsumed_tail
        return data
