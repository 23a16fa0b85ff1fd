"""How long rows are kept, and what is deleted of a visitor who asks for it."""

from collections.abc import Mapping, Sequence

import msgspec

from app.domain.rows import identity_of
from app.domain.visitors import visitor_id
from app.store.engine import Result, decode_rows
from app.store.places import Places
from app.store.removals import TIMEOUT_S
from app.store.salts import Salts
from app.store.statements import Statement

TABLES = ("signals", "visitor_minutes")
"""The tables whose retention can be chosen; the feed's 2 days are enough for any window."""


class Kept(msgspec.Struct, frozen=True):
    """How many days a table keeps its rows; 0 is for good. `where` is a node where not all shards agree."""

    table: str
    days: int
    whole_parts: bool
    where: str = ""


class Leaving(msgspec.Struct, frozen=True):
    """What leaves a table, in days and bytes on disk."""

    table: str
    days: int
    bytes: int


class Found(msgspec.Struct, frozen=True):
    """How much there is of a visitor: signals, and rows of minutes."""

    signals: int
    minutes: int


class Upkeep:
    """Works on the rows of one database, or of every shard. Every method raises EngineError."""

    def __init__(self, places: Places, statements: Mapping[str, Statement]) -> None:
        self._places = places
        self._statements = statements
        self._salts = Salts(places.control, statements)

    async def retention(self) -> list[Kept]:
        """How long each table keeps its rows, by its name; of each shard where they do not agree."""
        by_shard = []
        for shard in self._places.shards:
            body = await shard.fetch(self._statements["doctor/retention"])
            by_shard.append(decode_rows(body, msgspec.json.Decoder(Result[Kept])))
        if all(kept == by_shard[0] for kept in by_shard):
            return by_shard[0]
        return [
            msgspec.structs.replace(kept, where=shard.name)
            for shard, of_shard in zip(self._places.shards, by_shard, strict=True)
            for kept in of_shard
        ]

    async def would_free(self, days: Mapping[str, int]) -> list[Leaving]:
        """What leaves when the tables keep their rows for so many days."""
        parameters = {"signal_days": days["signals"], "minute_days": days["visitor_minutes"]}
        leaving: dict[str, Leaving] = {}
        for shard in self._places.shards:
            body = await shard.fetch(self._statements["retention/would_free"], parameters)
            for row in decode_rows(body, msgspec.json.Decoder(Result[Leaving])):
                before = leaving.get(row.table, Leaving(row.table, 0, 0))
                leaving[row.table] = Leaving(row.table, max(before.days, row.days), before.bytes + row.bytes)
        return [leaving[table] for table in sorted(leaving)]

    async def keep(self, table: str, days: int) -> None:
        """Keep the rows of a table of TABLES for so many days from now on."""
        for shard in self._places.shards:
            await shard.execute(self._statements[f"retention/{table}"], {"days": days}, timeout_s=TIMEOUT_S)

    async def ids_of(self, site_id: str, address: str, user_agent: str, given_id: str | None) -> list[int]:
        """What a visitor of a site is called under the salts that there are: those of today, and around midnight of
        the day before or after. Older ids nobody can make again."""
        identity = identity_of(address, user_agent, given_id)
        return [visitor_id(salt, site_id, *identity) for salt in (await self._salts.existing()).values()]

    async def count(self, site_id: str, ids: Sequence[int]) -> Found:
        """How much there is of a visitor."""
        body = await self._places.whole.fetch(self._statements["forget/count"], {"site": site_id, "ids": list(ids)})
        (found,) = decode_rows(body, msgspec.json.Decoder(Result[Found]))
        return found

    async def forget(self, site_id: str, ids: Sequence[int]) -> None:
        """Delete what there is of a visitor."""
        for table in TABLES:
            parameters = {"site": site_id, "ids": list(ids)}
            for shard in self._places.shards:
                await shard.execute(self._statements[f"forget/{table}"], parameters, timeout_s=TIMEOUT_S)
