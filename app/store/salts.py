"""The salts of the visitor hash: one per UTC day, shared by all workers through ClickHouse, deleted after use."""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

import msgspec

from app.domain.errors import Unavailable
from app.store.engine import Engine, Result, decode_rows
from app.store.statements import Statement

READY_BEFORE = timedelta(hours=1)
"""The salt of the next day is made so long before midnight: all workers have it when the day begins."""

KEPT_AFTER = timedelta(minutes=25)
"""A salt outlives its day by this: the window of an answer, late timestamps, a request that is sent again for ten
minutes, and a clock that steps back a little."""

ATTEMPTS = 10


class _Row(msgspec.Struct, frozen=True):
    day: date
    salt: str
    served: bool


_DECODER = msgspec.json.Decoder(Result[_Row])


class Salts:
    """Hands out the salt of a day."""

    def __init__(self, engine: Engine, statements: Mapping[str, Statement]) -> None:
        self._engine = engine
        self._list = statements["salts/list"]
        self._add = statements["salts/add"]
        self._delete = statements["salts/delete"]
        self._salts: dict[date, bytes] = {}
        self._changing = asyncio.Lock()

    async def of_days(self, days: Iterable[date]) -> Mapping[date, bytes]:
        """The salts of these days, made now where they are missing. Raises EngineError."""
        return {day: self._salts.get(day) or await self._make(day) for day in days}

    async def of(self, day: date) -> bytes:
        """The salt of a day, made now where it is missing. Raises EngineError."""
        return self._salts.get(day) or await self._make(day)

    async def existing(self) -> Mapping[date, bytes]:
        """The salts that there are; none is made. Raises EngineError."""
        async with self._changing:
            await self._load()
        return dict(self._salts)

    async def refresh(self, now: datetime) -> None:
        """Make the salts that are due. Raises EngineError."""
        await self.of(now.date())
        await self.of((now + READY_BEFORE).date())

    async def delete_served(self, now: datetime) -> None:
        """Delete the salts that have served, by `now` and by the clock of ClickHouse. Raises EngineError.

        A worker whose clock is ahead must not take today's salt from all the others.
        """
        first_kept = (now - KEPT_AFTER).date()
        if min(self._salts, default=first_kept) >= first_kept:
            return
        async with self._changing:
            rows = await self._load()
        served = [row.day for row in rows if row.served and row.day < first_kept]
        for day in served:
            await self._engine.execute(self._delete, {"day": day.isoformat()})
        if served:
            async with self._changing:
                await self._load()

    async def _make(self, day: date) -> bytes:
        async with self._changing:
            await self._load()
            for attempt in range(ATTEMPTS):
                if day in self._salts:
                    break
                # Of several workers that do this at once the first one's salt is stored, and all read that one. A
                # further attempt is needed only when the day's salt was deleted: the clock has stepped back.
                token = f"{day}/{attempt}"
                await self._engine.execute(
                    self._add, {"token": token, "day": day.isoformat(), "salt": secrets.token_hex(32)}
                )
                await self._load()
            else:
                raise Unavailable
            return self._salts[day]

    async def _load(self) -> list[_Row]:
        body = await self._engine.fetch(self._list, {"kept_minutes": KEPT_AFTER // timedelta(minutes=1)})
        rows = decode_rows(body, _DECODER)
        self._salts = {row.day: bytes.fromhex(row.salt) for row in rows}
        return rows
