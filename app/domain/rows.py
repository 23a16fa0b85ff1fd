"""From a signal to its row: who the visitor is, where from, on which page. Reads no clock and asks nobody."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from app.domain.signals import (
    AGE_MAX,
    CLOCK_SKEW_MAX,
    ServerSignal,
    Signal,
    Utm,
    check_timestamp,
    clean_label,
    clean_page,
    clean_referrer,
    clean_text,
    number_or_none,
)
from app.domain.sites import Site
from app.domain.visitors import country_of, is_bot, plain_address, visitor_id

AFTER_MIDNIGHT = time(0, 5)
"""Until then, UTC, the window of an answer can reach back over the change of the salt."""

ONE_DAY = timedelta(days=1)
NOTHING_SAID = ServerSignal()
NO_UTM = Utm()

Salts = Mapping[date, bytes]
"""The salt of each day that is needed."""


class Sender(msgspec.Struct, frozen=True):
    """Whom a request came from: the visitor, unless a ServerSignal says otherwise."""

    address: str
    user_agent: str


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
    action: str
    category: str
    label: str
    value: float | None


def identity_of(address: str, user_agent: str, given_id: str | None) -> tuple[str, ...]:
    """What a visitor is told by: the id that a server gave, else address and User-Agent."""
    return (address, user_agent) if given_id is None else ("", "", given_id)


def days_of(now: datetime) -> set[date]:
    """The days whose salts the signals of this moment can need."""
    first, last = now - AGE_MAX, now + CLOCK_SKEW_MAX
    return {first.date(), last.date()} | ({first.date() - ONE_DAY} if first.time() < AFTER_MIDNIGHT else set())


def make_row(
    signal: Signal, site: Site, sender: Sender, salts: Salts, *, now: datetime, timestamp: datetime
) -> SignalRow | None:
    """The row of a signal, checked whole; None where its visitor is a bot.

    `timestamp` is when the signal was received, about `now`; a ServerSignal may bring its own.
    Raises InvalidSignal naming the field.
    """
    page, referrer, utm = clean_page(signal.path), clean_referrer(signal.referrer), signal.utm or NO_UTM
    if referrer and site.allows_origin_host(referrer):
        referrer = ""  # a link from one page of the site to another
    said = signal if isinstance(signal, ServerSignal) else NOTHING_SAID
    if said.timestamp:
        check_timestamp(said.timestamp, now)
        timestamp = said.timestamp.astimezone(UTC)
    address, user_agent = sender.address, sender.user_agent
    if said.names_visitor:
        address, user_agent = plain_address(said.ip) if said.ip else "", said.user_agent or ""
    if is_bot(user_agent):
        return None
    identity = identity_of(address, user_agent, said.visitor_id)
    day = timestamp.date()
    previous_id = 0
    if timestamp.time() < AFTER_MIDNIGHT:
        previous_id = visitor_id(salts[day - ONE_DAY], site.id, *identity)
    return SignalRow(
        site_id=site.id,
        timestamp=timestamp,
        type=signal.type,
        visitor_id=visitor_id(salts[day], site.id, *identity),
        previous_visitor_id=previous_id,
        page=page,
        country=said.country or country_of(address),
        referrer=referrer,
        utm_source=clean_text(utm.source),
        utm_medium=clean_text(utm.medium),
        utm_campaign=clean_text(utm.campaign),
        action=clean_label(signal.action),
        category=clean_label(signal.category),
        label=clean_label(signal.label),
        value=number_or_none(signal.value),
    )
