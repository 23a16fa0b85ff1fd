"""What an odd HTTP proxy before ClickHouse does: now and then it answers an INSERT in ClickHouse's place."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

HEAD_MAX_BYTES = 262_144
CLICKHOUSE = (
    "Content-Type: text/plain; charset=UTF-8",
    "X-ClickHouse-Server-Display-Name: odd",
    "X-ClickHouse-Query-Id: 6f1c2a52-0000-4000-8000-000000000000",
    "X-ClickHouse-Timezone: UTC",
)
GARBAGE = bytes(range(256)) * 4


def _answer(status: str, *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else []), "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


ANSWERS = {
    "200 HTML": _answer("200 OK", "Content-Type: text/html", body=b"<html><body>Please log in</body></html>"),
    "200 empty": _answer("200 OK"),
    "204": _answer("204 No Content", length=False),
    "302": _answer("302 Found", "Location: /ping"),
    "lz4": _answer("200 OK", *CLICKHOUSE, "Content-Encoding: lz4", body=GARBAGE),
    "zstd": _answer("200 OK", *CLICKHOUSE, "Content-Encoding: zstd", body=GARBAGE),
    "deflate": _answer("200 OK", *CLICKHOUSE, "Content-Encoding: deflate", body=GARBAGE),
    "summary of no JSON": _answer("200 OK", *CLICKHOUSE, "X-ClickHouse-Summary: Welcome"),
    "summary of no object": _answer("200 OK", *CLICKHOUSE, "X-ClickHouse-Summary: [1, 2]"),
    "summary of null": _answer("200 OK", *CLICKHOUSE, "X-ClickHouse-Summary: null"),
}
"""What an INSERT may be answered with, none of which says that it has committed."""


@dataclass
class Oddities:
    """Forwards requests one to a connection. An INSERT gets an odd answer with probability `share`.

    Half of the INSERTs so answered are forwarded all the same: their rows are stored, and nobody is told.
    """

    share: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    counts: Counter[str] = field(default_factory=Counter)

    async def serve(self, target_port: int, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head, body = await _read_request(client_in)
            odd = _is_insert(head) and self.chance.random() < self.share
            if not odd or self.chance.random() < 0.5:
                answer = await _forward(target_port, head, body)
            if odd:
                answer = ANSWERS[self._next()]
            client_out.write(answer)
            await client_out.drain()
        client_out.close()

    def _next(self) -> str:
        """One of those that were given least often."""
        least = min(self.counts[name] for name in ANSWERS)
        name = self.chance.choice([name for name in ANSWERS if self.counts[name] == least])
        self.counts[name] += 1
        return name


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head of a request with its blank line, and its body as it was sent."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:])
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        body = bytearray()
        while not body.endswith(b"\r\n0\r\n\r\n") and bytes(body) != b"0\r\n\r\n":
            size_line = await reader.readuntil(b"\r\n")
            body += size_line + await reader.readexactly(int(size_line.split(b";")[0], 16) + 2)
        return head, bytes(body)
    return head, await reader.readexactly(int(headers.get(b"content-length", b"0")))


def _is_insert(head: bytes) -> bool:
    target = unquote_plus(head.split(b" ", 2)[1].decode("latin-1"))
    return "INSERT INTO" in target


async def _forward(target_port: int, head: bytes, body: bytes) -> bytes:
    """The whole answer of the server, which is told to close the connection after it."""
    server_in, server_out = await asyncio.open_connection("127.0.0.1", target_port)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    lines.insert(1, b"Connection: close")
    server_out.write(b"\r\n".join(lines) + body)
    await server_out.drain()
    answer = await server_in.read()
    server_out.close()
    return answer
