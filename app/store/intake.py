"""From signals to rows: who the visitor is, where from, on which page."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from time import monotonic

import msgspec

from app.domain import metrics
from app.domain.access import Site
from app.domain.clock import Clock
from app.domain.signals import (
    ServerSignal,
    Signal,
    Utm,
    check_timestamp,
    clean_page,
    clean_referrer,
    clean_text,
)
from app.domain.visitors import country_of, is_bot, plain_address, visitor_id
from app.store.salts import Salts

AFTER_MIDNIGHT = time(0, 5)
"""Until then, UTC, the window of an answer can reach back over the change of the salt."""

BATCH_STEP = timedelta(microseconds=1)
"""Signals stamped here follow each other by this within a request, so that the last of them is the latest."""

TURN_S = 0.0005
"""After so long others get their turn. A signal takes 20 microseconds, one of a long new User-Agent 20 times that."""

ONE_DAY = timedelta(days=1)
NOTHING_SAID = ServerSignal()
NO_UTM = Utm()


class SignalRow(msgspec.Struct, frozen=True):
    """A row of table signals, as one line of an INSERT."""

    site_id: str
    timestamp: datetime
    type: str
    visitor_id: int
    previous_visitor_id: int
    page: str
    country: str
    referrer: str
    utm_source: str
    utm_medium: str
    utm_campaign: str


class Intake:
    """Takes in the signals of a request: all of them or none."""

    def __init__(self, salts: Salts, clock: Clock) -> None:
        self._salts = salts
        self._clock = clock
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._batch = asyncio.Lock()

    async def make_rows(
        self, signals: Sequence[Signal], sites: Mapping[str, Site], address: str, user_agent: str
    ) -> tuple[bytes, int]:
        """The rows of the signals that are not a bot's, to be committed, and how many they are.

        `sites` has the site of each signal. The caller's `address` and `user_agent` are those of the visitor, unless a
        ServerSignal says otherwise. Raises InvalidSignal naming the field, or Unavailable.
        """
        if len(signals) == 1:
            return await self._make_rows(signals, sites, address, user_agent)
        # One batch at a time, in turns with everything else: else each of many would take its turn.
        async with self._batch:
            return await self._make_rows(signals, sites, address, user_agent)

    async def _make_rows(
        self, signals: Sequence[Signal], sites: Mapping[str, Site], address: str, user_agent: str
    ) -> tuple[bytes, int]:
        now = self._clock()
        turn_ends_s = monotonic() + TURN_S
        rows = []
        for number, signal in enumerate(signals):
            if monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = monotonic() + TURN_S
            site = sites[signal.site_id or ""]
            row = await self._row(signal, site, address, user_agent, now, now + number * BATCH_STEP)
            if row is None:
                metrics.signals_refused_as_bot.inc()
            else:
                rows.append(row)
        return self._encode_lines(rows), len(rows)

    async def _row(
        self, signal: Signal, site: Site, address: str, user_agent: str, now: datetime, timestamp: datetime
    ) -> SignalRow | None:
        """The row of a signal, checked whole; None where its visitor is a bot."""
        page, referrer, utm = clean_page(signal.path), clean_referrer(signal.referrer), signal.utm or NO_UTM
        if site.allows_origin_host(referrer):
            referrer = ""  # a link from one page of the site to another
        said = signal if isinstance(signal, ServerSignal) else NOTHING_SAID
        if said.timestamp:
            check_timestamp(said.timestamp, now)
            timestamp = said.timestamp.astimezone(UTC)
        if said.names_visitor:
            address, user_agent = plain_address(said.ip) if said.ip else "", said.user_agent or ""
        if is_bot(user_agent):
            return None
        identity = (address, user_agent) if said.visitor_id is None else ("", "", said.visitor_id)
        day = timestamp.date()
        salt = self._salts.known(day) or await self._salts.of(day)
        previous_id = 0
        if timestamp.time() < AFTER_MIDNIGHT:
            previous_salt = self._salts.known(day - ONE_DAY) or await self._salts.of(day - ONE_DAY)
            previous_id = visitor_id(previous_salt, site.id, *identity)
        return SignalRow(
            site_id=site.id,
            timestamp=timestamp,
            type=signal.type,
            visitor_id=visitor_id(salt, site.id, *identity),
            previous_visitor_id=previous_id,
            page=page,
            country=said.country or country_of(address),
            referrer=referrer,
            utm_source=clean_text(utm.source),
            utm_medium=clean_text(utm.medium),
            utm_campaign=clean_text(utm.campaign),
        )
