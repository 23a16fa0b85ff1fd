"""The semantics of the realtime answer in plain Python, written from their text; the measure of the SQL."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MINUTE = timedelta(minutes=1)
CLOCK_SKEW = timedelta(seconds=5)
PAGES_MAX = 100
FEED_MAX = 10


@dataclass(frozen=True)
class Sent:
    """A signal that the service has acknowledged."""

    site_id: str
    timestamp: datetime
    type: str
    visitor: str
    page: str
    country: str | None


def start_of_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def answer(acknowledged: Iterable[Sent], site_id: str, now: datetime) -> dict[str, Any]:
    """The answer for a site at an instant, given everything that was acknowledged before."""
    now = now.replace(microsecond=0)
    minutes = [start_of_minute(now) - MINUTE * ago for ago in (4, 3, 2, 1, 0)]
    active: dict[datetime, set[str]] = {minute: set() for minute in minutes}
    latest: dict[str, tuple[datetime, str]] = {}
    pageviews: list[tuple[datetime, str, str]] = []
    for sent in acknowledged:
        if sent.site_id != site_id:
            continue
        minute = start_of_minute(sent.timestamp)
        if not minutes[0] <= minute <= now + CLOCK_SKEW:
            continue
        active[min(minute, minutes[-1])].add(sent.visitor)  # ahead of the clock: in the minute in progress
        latest[sent.visitor] = max(latest.get(sent.visitor, (minutes[0], "")), (sent.timestamp, sent.page))
        if sent.type == "pageview":
            pageviews.append((sent.timestamp, sent.page, sent.country or ""))
    pages = Counter(page for _, page in latest.values())
    by_page = sorted(pages.items(), key=lambda item: (-item[1], item[0].encode()))
    newest = sorted(pageviews, key=lambda one: (one[0], one[1].encode(), one[2]), reverse=True)
    return {
        "activeVisitors": len(latest),
        "pageviewsLast5Min": len(pageviews),
        "pageBreakdown": dict(by_page[:PAGES_MAX]),
        "recentPageviews": [
            {"page": page, "timestamp": rfc3339(timestamp), "country": country or None}
            for timestamp, page, country in newest[:FEED_MAX]
        ],
        "visitorsPerMinute": [{"minute": f"{minute:%H:%M}", "visitors": len(active[minute])} for minute in minutes],
        "timestamp": rfc3339(now),
    }


def rfc3339(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def contradictions(answer: dict[str, Any]) -> list[str]:
    """The invariants that an answer breaks; they hold for every answer, whatever was sent."""
    visitors, pageviews = answer["activeVisitors"], answer["pageviewsLast5Min"]
    per_minute = [entry["visitors"] for entry in answer["visitorsPerMinute"]]
    pages = list(answer["pageBreakdown"].values())
    feed = [pageview["timestamp"] for pageview in answer["recentPageviews"]]
    rules = {
        "pages add up to the active visitors": sum(pages) == visitors or len(pages) == PAGES_MAX,
        "pages are ordered by visitors": pages == sorted(pages, reverse=True),
        "the busiest minute has no more visitors than the window": max(per_minute) <= visitors <= sum(per_minute),
        "five minutes": len(per_minute) == 5,
        "the feed is as long as it can be": len(feed) == min(FEED_MAX, pageviews),
        "the feed is newest first": feed == sorted(feed, reverse=True),
        "the last minute is that of the timestamp": answer["visitorsPerMinute"][-1]["minute"]
        == answer["timestamp"][11:16],
    }
    return [rule for rule, holds in rules.items() if not holds]
