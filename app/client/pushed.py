"""The messages of GET /api/realtime/stream, as they come."""

from collections.abc import AsyncIterator

import httpx
import msgspec

from app.domain.realtime import RealtimeAnswer


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """The data of an event `realtime`."""

    site_id: str
    answer: RealtimeAnswer


class Message(msgspec.Struct, frozen=True):
    """An event with its data, a time to come back after, or with neither a sign of life."""

    event: str = ""
    data: bytes = b""
    retry_s: float | None = None


async def messages(response: httpx.Response) -> AsyncIterator[Message]:
    """The messages of a stream until it ends."""
    rest = b""
    async for part in response.aiter_bytes():
        # By the bytes of its line ends: a page may contain what else ends a line, such as U+2028.
        *whole, rest = (rest + part).split(b"\n\n")
        for text in whole:
            yield _message(text)


def _message(text: bytes) -> Message:
    fields = dict(line.split(b":", 1) for line in text.split(b"\n") if b":" in line)
    retry = fields.get(b"retry", b"").strip()
    return Message(
        fields.get(b"event", b"").strip().decode("latin-1"),
        fields.get(b"data", b"").strip(),
        int(retry) / 1000 if retry.isdigit() and len(retry) < 9 else None,
    )
