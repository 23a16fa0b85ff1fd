"""A lane for each shard of a cluster: reads and inserts of its sites go by themselves, so a dead shard costs no other.

Each class is on a cluster what one lane is on one machine. A lane is made when a site of its shard is asked for.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Generic, TypeVar

import msgspec

from app.domain.errors import CommitUnclear, Unavailable
from app.domain.realtime import Dimension
from app.store.inserts import GroupCommit
from app.store.reads import RealtimeReads
from app.store.reports import Reports
from app.store.tenants import Tenants

Lane = TypeVar("Lane")


class Lanes(Generic[Lane]):
    """What serves the sites of each shard, made when it is first needed."""

    def __init__(self, tenants: Tenants, make: Callable[[int], Lane]) -> None:
        self._tenants = tenants
        self._make = make
        self._lanes: dict[int, Lane] = {}

    def of_site(self, site_id: str) -> Lane:
        return self.of_shard(self._tenants.shard_of(site_id))

    def of_shard(self, shard: int) -> Lane:
        if shard not in self._lanes:
            self._lanes[shard] = self._make(shard)
        return self._lanes[shard]

    def all(self) -> list[Lane]:
        return list(self._lanes.values())


class ReadsByShard:
    """RealtimeReads of a cluster."""

    def __init__(self, lanes: Lanes[RealtimeReads]) -> None:
        self._lanes = lanes

    async def of(self, tenant: str, site_id: str) -> bytes:
        """Return the realtime answer of a site as JSON. Raises Unavailable when it is not known in time."""
        return await self._lanes.of_site(site_id).of(tenant, site_id)


class ReportsByShard:
    """Reports of a cluster."""

    def __init__(self, lanes: Lanes[Reports]) -> None:
        self._lanes = lanes

    async def breakdown(self, tenant: str, site_id: str, by: Dimension, filters: Mapping[Dimension, str]) -> bytes:
        """The active visitors of a site by a dimension, as JSON. Raises Unavailable when not known in time."""
        return await self._lanes.of_site(site_id).breakdown(tenant, site_id, by, filters)

    async def history(self, tenant: str, site_id: str, minutes: int, days_ago: int = 0) -> bytes:
        """How the live number of a site went in so many minutes, as JSON. Raises Unavailable."""
        return await self._lanes.of_site(site_id).history(tenant, site_id, minutes, days_ago)


class _OfSite(msgspec.Struct, frozen=True):
    """What is looked at in a row of table signals."""

    site_id: str


_decode_site = msgspec.json.Decoder(_OfSite).decode


class InsertsByShard:
    """GroupCommit of a cluster. Of a request with sites of several shards each shard commits its part."""

    def __init__(self, tenants: Tenants, make: Callable[[int], GroupCommit]) -> None:
        self._tenants = tenants
        self._lanes = Lanes(tenants, lambda shard: self._begin(make(shard)))
        self._ended: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def queued(self) -> int:
        """Signals that wait for an INSERT or are in a running one."""
        return sum(lane.queued for lane in self._lanes.all())

    def start(self) -> asyncio.Task[None]:
        """Begin to commit, in a task that ends when one of the lanes' tasks does."""
        self._ended = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self._run(self._ended), name="group commits")

    async def commit(self, rows: bytes, count: int, token: str | None = None) -> None:
        """Return when the rows (JSON lines of table signals) are committed, on every shard that they concern.

        A token given stands for the rows, on each shard for its own: a repetition has the same ones there.

        Raises Unavailable when nothing of them is stored, CommitUnclear when something of them may be.
        """
        if not count:
            return
        if self._closing:
            raise Unavailable
        parts = self._parts(rows)
        if len(parts) == 1:
            (shard,) = parts
            await self._lanes.of_shard(shard).commit(rows, count, token)
            return
        commits = (
            self._lanes.of_shard(shard).commit(b"".join(part), len(part), token) for shard, part in parts.items()
        )
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if not failures:
            return
        if len(failures) < len(outcomes) or any(isinstance(failure, CommitUnclear) for failure in failures):
            raise CommitUnclear
        raise failures[0]

    async def close(self, timeout_s: float) -> None:
        """Accept nothing more, commit what is queued, and stop; give up after `timeout_s`."""
        self._closing = True
        await asyncio.gather(*(lane.close(timeout_s) for lane in self._lanes.all()))
        if self._ended and not self._ended.done():
            self._ended.set_result(None)

    def _parts(self, rows: bytes) -> dict[int, list[bytes]]:
        parts: defaultdict[int, list[bytes]] = defaultdict(list)
        lines = rows.splitlines(keepends=True)
        for site_id, of_site in groupby(lines, lambda line: _decode_site(line).site_id):
            parts[self._tenants.shard_of(site_id)].extend(of_site)
        return parts

    def _begin(self, lane: GroupCommit) -> GroupCommit:
        lane.start().add_done_callback(self._note_end)
        return lane

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if self._ended and not self._ended.done():
            error = None if task.cancelled() else task.exception()
            self._ended.set_exception(error) if error else self._ended.set_result(None)

    async def _run(self, ended: asyncio.Future[None]) -> None:
        await ended


def by_shard(tenants: Tenants, site_ids: Sequence[str]) -> dict[int, list[str]]:
    """The sites of each shard."""
    shards: defaultdict[int, list[str]] = defaultdict(list)
    for site_id in site_ids:
        shards[tenants.shard_of(site_id)].append(site_id)
    return shards
