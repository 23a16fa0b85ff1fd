"""The answer of GET /api/realtime: its shapes, for the service that describes it and the clients that read it."""

from datetime import datetime
from typing import Annotated

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]


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


# sql/realtime.sql makes the answer; this describes it.
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
