"""Makes the rows of a request: all of its signals or none, without keeping others from their turn."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import msgspec

from app import metrics
from app.domain.clock import Clock
from app.domain.rows import Sender, days_of, make_row
from app.domain.signals import Signal
from app.domain.sites import Site
from app.store.salts import Salts

BATCH_STEP = timedelta(microseconds=1)
"""Signals stamped here follow each other by this within a request, so that the last of them is the latest."""

TURN_S = 0.0005
"""After so long others get theirs. A signal takes 20 microseconds, one of a long new User-Agent 20 times that."""

PAUSE_S = 0.001
"""So long a batch leaves to others. With sleep(0) they waited several times as long, perhaps because the server's own
threads need the interpreter too."""


class Intake:
    """Takes in the signals of a request: all of them or none."""

    def __init__(self, salts: Salts, clock: Clock) -> None:
        self._salts = salts
        self._clock = clock
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._batch = asyncio.Lock()

    async def make_rows(
        self, signals: Sequence[Signal], sites: Mapping[str, Site], sender: Sender, received_at: datetime | None = None
    ) -> tuple[bytes, int]:
        """The rows (JSON lines of table signals) of those signals that are not a bot's, and how many they are.

        They were received at `received_at`, now if not given: the same ones make the same rows. `sites` has the site of
        each signal. Raises InvalidSignal naming the field, or Unavailable when the salt of a day cannot be had.
        """
        if len(signals) == 1:
            return await self._make_rows(signals, sites, sender, received_at or self._clock())
        # One batch at a time, in turns with everything else: else each of many would take its turn.
        async with self._batch:
            return await self._make_rows(signals, sites, sender, received_at or self._clock())

    async def _make_rows(
        self, signals: Sequence[Signal], sites: Mapping[str, Site], sender: Sender, now: datetime
    ) -> tuple[bytes, int]:
        salts = await self._salts.of_days(days_of(now))
        turn_ends_s = monotonic() + TURN_S
        rows = []
        for number, signal in enumerate(signals):
            if monotonic() > turn_ends_s:
                await asyncio.sleep(PAUSE_S)
                turn_ends_s = monotonic() + TURN_S
            site = sites[signal.site_id or ""]
            row = make_row(signal, site, sender, salts, now=now, timestamp=now + number * BATCH_STEP)
            if row is None:
                metrics.signals_refused_as_bot.inc()
            else:
                rows.append(row)
        return self._encode_lines(rows), len(rows)
