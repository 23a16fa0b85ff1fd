"""Requests that may be sent again: stored once per Idempotency-Key, whichever worker takes them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from app.domain.clock import Clock
from app.domain.errors import CommitUnclear, RepetitionRefused, Unavailable
from app.domain.repetitions import KeyedRequest
from app.store.engine import Engine, Result, decode_rows
from app.store.inserts import GroupCommit
from app.store.lanes import InsertsByShard
from app.store.statements import Statement

REPEAT_WITHIN = timedelta(minutes=10)
"""So long after the first attempt a request may be sent again. Salts and deduplication windows are kept for longer."""

MakeRows = Callable[[datetime], Awaitable[tuple[bytes, int]]]
"""Makes the rows of a request received at an instant, and counts them."""


class _Claim(msgspec.Struct, frozen=True):
    """A row of table request_keys."""

    received_at: datetime
    body_sha256: str


_CLAIMS = msgspec.json.Decoder(Result[_Claim])
_encode = msgspec.json.Encoder().encode


class Repeatable:
    """Commits requests with an Idempotency-Key, each by an INSERT whose token is made of the key (docs/decisions/0011).

    A tenant has one such request at work, so that none keeps the others waiting for more than an INSERT.
    """

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        clock: Clock,
        inserts: GroupCommit | InsertsByShard,
        *,
        timeout_s: float,
        max_waiting_signals: int,
    ) -> None:
        self.inserts = inserts
        """One request at a time: it must not put two into one INSERT."""
        self._engine = engine
        self._claim_key = statements["track/claim_key"]
        self._find_key = statements["track/find_key"]
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_waiting_signals = max_waiting_signals
        self._waiting_signals = 0
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # of each tenant

    async def commit(self, request: KeyedRequest, make_rows: MakeRows) -> int:
        """Return how many signals of the request are stored, when they are, by this attempt or an earlier one.

        Raises RepetitionRefused, what `make_rows` raises, or CommitUnclear: then the same may be sent again.
        """
        if self._waiting_signals + request.signals > self._max_waiting_signals:
            raise CommitUnclear
        self._waiting_signals += request.signals
        try:
            async with asyncio.timeout(self._timeout_s), self._turns[request.tenant]:
                rows, count = await make_rows(await self._claim(request))
                await self.inserts.commit(rows, count, token=request.id)
        except (Unavailable, TimeoutError):
            # Even where nothing of this attempt is stored: something of an earlier one may be.
            raise CommitUnclear from None
        finally:
            self._waiting_signals -= request.signals
        return count

    async def _claim(self, request: KeyedRequest) -> datetime:
        """Return when the request was first received: now, unless there was an attempt before."""
        now = self._clock()
        row = {"id": request.id, "received_at": now, "body_sha256": request.body_sha256}
        await self._engine.execute(self._claim_key, {"token": request.id}, _encode(row))
        found = decode_rows(await self._engine.fetch(self._find_key, {"id": request.id}), _CLAIMS)
        if not found or now - found[0].received_at > REPEAT_WITHIN:
            minutes = REPEAT_WITHIN // timedelta(minutes=1)
            raise RepetitionRefused(f"Idempotency-Key: first used over {minutes} minutes ago")
        if found[0].body_sha256 != request.body_sha256:
            raise RepetitionRefused("Idempotency-Key: was used with another body")
        return found[0].received_at
