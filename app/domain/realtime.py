"""What is live on a site: the shapes of the answers, for the service that makes them and the clients that read them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, get_args

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]

WINDOW_MINUTES = 5
LAST_MICROSECOND = 9_999_999_999_999_999
"""In the year 2286: packed signals begin with the microseconds left until then, so that they sort newest first."""

Dimension = Literal["page", "country", "referrer", "utmSource", "utmMedium", "utmCampaign"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""What active visitors can be told apart by: each has exactly one value of each, null for none."""


def start_of_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def start_of_window(now: datetime) -> datetime:
    """The first of the five minutes of an answer: the one in progress is the last."""
    return start_of_minute(now) - timedelta(minutes=WINDOW_MINUTES - 1)


class RecentPageview(msgspec.Struct, frozen=True):
    """One pageview of the feed."""

    page: str
    timestamp: Instant
    country: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None,
        msgspec.Meta(description="ISO 3166-1 alpha-2; null where unknown."),
    ]


class MinuteVisitors(msgspec.Struct, frozen=True):
    """Distinct visitors of one minute."""

    minute: Annotated[str, msgspec.Meta(pattern=r"^\d\d:\d\d$", description="Start of the minute, HH:MM in UTC.")]
    visitors: Count


class RealtimeAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Who is on a site right now; every field speaks of the same five minutes."""

    active_visitors: Annotated[Count, msgspec.Meta(description="Visitors active in the last 5 minutes.")]
    pageviews_last5_min: Annotated[Count, msgspec.Meta(description="Total pageviews in the last 5 minutes.")] = (
        msgspec.field(name="pageviewsLast5Min")
    )
    page_breakdown: Annotated[
        dict[str, Count], msgspec.Meta(max_length=100, description="Active visitors by page, most first.")
    ]
    recent_pageviews: Annotated[
        list[RecentPageview], msgspec.Meta(max_length=10, description="Most recent pageviews, newest first.")
    ]
    visitors_per_minute: Annotated[
        list[MinuteVisitors],
        msgspec.Meta(min_length=5, max_length=5, description="Visitor count for the last 5 minutes, oldest first."),
    ]
    timestamp: Annotated[Instant, msgspec.Meta(description="Server timestamp of this response, whole seconds, UTC.")]


class NumbersAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The numbers of the realtime answer: how many, not where or who."""

    active_visitors: Annotated[Count, msgspec.Meta(description="Visitors active in the last 5 minutes.")]
    pageviews_last5_min: Annotated[Count, msgspec.Meta(description="Total pageviews in the last 5 minutes.")] = (
        msgspec.field(name="pageviewsLast5Min")
    )
    visitors_per_minute: Annotated[
        list[MinuteVisitors],
        msgspec.Meta(min_length=5, max_length=5, description="Visitor count for the last 5 minutes, oldest first."),
    ]
    timestamp: Annotated[Instant, msgspec.Meta(description="Server timestamp of this response, whole seconds, UTC.")]


def unpack_pageview(packed: str) -> RecentPageview:
    """A pageview of the feed from its text: 16 digits of time, 2 characters of country, the page (migration 0007)."""
    return RecentPageview(packed[18:], _second(packed[:10]), packed[16:18].strip() or None)


@lru_cache(maxsize=1_024)  # the window has 300 of them
def _second(counted_down: str) -> datetime:
    """The whole second of a time in the feed, which is counted down from LAST_MICROSECOND."""
    return datetime.fromtimestamp(LAST_MICROSECOND // 1_000_000 - int(counted_down), UTC)


def minutes_of_window(now: datetime) -> list[str]:
    """The five minutes of an answer as HH:MM, oldest first."""
    oldest = start_of_window(now)
    return [f"{oldest + timedelta(minutes=number):%H:%M}" for number in range(WINDOW_MINUTES)]


class Share(msgspec.Struct, frozen=True):
    """Those of the active visitors who have one value of a dimension."""

    value: Annotated[str | None, msgspec.Meta(description="null: none, direct or unknown.")]
    visitors: Count
    pageviews: Annotated[Count, msgspec.Meta(description="All pageviews of these visitors in the window.")]


class BreakdownAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The active visitors by one dimension; each has exactly one value of it."""

    by: Dimension
    active_visitors: Annotated[Count, msgspec.Meta(description="Active visitors that the filters keep.")]
    pageviews: Annotated[Count, msgspec.Meta(description="All pageviews of these visitors in the window.")]
    breakdown: Annotated[
        list[Share], msgspec.Meta(max_length=100, description="Most visitors first, then by value, null last.")
    ]
    timestamp: Annotated[Instant, msgspec.Meta(description="Server timestamp of this response, whole seconds, UTC.")]


class Point(msgspec.Struct, frozen=True, rename="camel"):
    """One minute of the history."""

    minute: Annotated[Instant, msgspec.Meta(description="Start of the minute.")]
    active_visitors: Annotated[Count, msgspec.Meta(description="Distinct in this minute and the four before it.")]
    pageviews: Annotated[Count, msgspec.Meta(description="Pageviews of this minute.")]
    visitors: Annotated[Count, msgspec.Meta(description="Distinct visitors of this minute.")]


class Peak(msgspec.Struct, frozen=True, rename="camel"):
    """The minute with the most active visitors, the earliest of equals."""

    minute: Instant
    active_visitors: Count


class HistoryAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """How the live number went: one point per minute, the one in progress last."""

    points: Annotated[list[Point], msgspec.Meta(min_length=1, description="Oldest first, without gaps.")]
    peak: Peak
    timestamp: Annotated[Instant, msgspec.Meta(description="Server timestamp of this response, whole seconds, UTC.")]


def peak_of(points: Iterable[Point]) -> Peak:
    highest = max(points, key=lambda point: point.active_visitors)  # the first of equals
    return Peak(highest.minute, highest.active_visitors)
