"""The semantics of the live answers in plain Python, written from their text; the measure of the SQL."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any

MINUTE = timedelta(minutes=1)
CLOCK_SKEW = timedelta(seconds=5)
SHARES_MAX = 100
FEED_MAX = 10
EVER = datetime.max.replace(tzinfo=UTC)
DIMENSIONS = ("page", "country", "referrer", "utmSource", "utmMedium", "utmCampaign")


@dataclass(frozen=True)
class Sent:
    """A signal that the service has acknowledged."""

    site_id: str
    timestamp: datetime
    type: str
    visitor: str
    page: str
    country: str | None
    source: tuple[str, str, str, str] = ("", "", "", "")
    """Referrer, utm source, medium and campaign; empty where there is none."""


def start_of_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def newest_first(sent: Sent) -> tuple[timedelta, bytes, bytes]:
    """The total order of signals: those of one microsecond by country, none first, then by page."""
    return EVER - sent.timestamp, (sent.country or "").encode(), sent.page.encode()


class Live:
    """What is live on a site at an instant, given everything that was acknowledged before."""

    def __init__(self, acknowledged: Iterable[Sent], site_id: str, now: datetime) -> None:
        self.now = now.replace(microsecond=0)
        self.in_progress = start_of_minute(now)
        self.sent = [
            sent
            for sent in acknowledged
            if sent.site_id == site_id and start_of_minute(sent.timestamp) <= self.now + CLOCK_SKEW
        ]

    def minute(self, sent: Sent) -> datetime:
        """Its minute; what is ahead of the clock is in the minute in progress."""
        return min(start_of_minute(sent.timestamp), self.in_progress)

    def within(self, last: datetime, minutes: int = 5) -> list[Sent]:
        """The signals of so many minutes up to this one, newest first."""
        first = last - MINUTE * (minutes - 1)
        return sorted((sent for sent in self.sent if first <= self.minute(sent) <= last), key=newest_first)


def visitors(sent: Iterable[Sent]) -> int:
    return len({one.visitor for one in sent})


def pageviews(sent: Iterable[Sent]) -> int:
    return sum(one.type == "pageview" for one in sent)


def answer(acknowledged: Iterable[Sent], site_id: str, now: datetime) -> dict[str, Any]:
    """The answer of GET /api/realtime."""
    live = Live(acknowledged, site_id, now)
    window = live.within(live.in_progress)
    pages = Counter(one.page for one in latest_of_each(window).values())
    by_page = sorted(pages.items(), key=lambda item: (-item[1], item[0].encode()))
    minutes = [live.in_progress - MINUTE * ago for ago in (4, 3, 2, 1, 0)]
    return {
        "activeVisitors": visitors(window),
        "pageviewsLast5Min": pageviews(window),
        "pageBreakdown": dict(by_page[:SHARES_MAX]),
        "recentPageviews": [
            {"page": one.page, "timestamp": rfc3339(one.timestamp), "country": one.country or None}
            for one in [one for one in window if one.type == "pageview"][:FEED_MAX]
        ],
        "visitorsPerMinute": [
            {"minute": f"{minute:%H:%M}", "visitors": visitors(live.within(minute, 1))} for minute in minutes
        ],
        "timestamp": rfc3339(live.now),
    }


def latest_of_each(newest_first: Iterable[Sent]) -> dict[str, Sent]:
    latest: dict[str, Sent] = {}
    for sent in newest_first:
        latest.setdefault(sent.visitor, sent)
    return latest


def breakdown(
    acknowledged: Iterable[Sent], site_id: str, now: datetime, by: str, filters: Mapping[str, str]
) -> dict[str, Any]:
    """The answer of GET /api/realtime/breakdown."""
    live = Live(acknowledged, site_id, now)
    window = live.within(live.in_progress)
    latest = latest_of_each(window)
    sources = latest_of_each(sorted((one for one in window if any(one.source)), key=newest_source_first))
    shares: dict[str | None, list[int]] = {}
    for visitor, signal in latest.items():
        source = sources[visitor].source if visitor in sources else ("",) * 4
        values = dict(zip(DIMENSIONS, (signal.page, signal.country or "", *source), strict=True))
        if all(matches(values[name], pattern) for name, pattern in filters.items()):
            share = shares.setdefault(values[by] or None, [0, 0])
            share[0] += 1
            share[1] += pageviews(one for one in window if one.visitor == visitor)
    ordered = sorted(shares.items(), key=lambda item: (-item[1][0], item[0] is None, (item[0] or "").encode()))
    return {
        "by": by,
        "activeVisitors": sum(share[0] for share in shares.values()),
        "pageviews": sum(share[1] for share in shares.values()),
        "breakdown": [
            {"value": value, "visitors": share[0], "pageviews": share[1]} for value, share in ordered[:SHARES_MAX]
        ],
        "timestamp": rfc3339(live.now),
    }


def newest_source_first(sent: Sent) -> tuple[timedelta, bytes]:
    return EVER - sent.timestamp, "\t".join(sent.source).encode()


def matches(value: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return bool(value) and value.startswith(pattern[:-1])
    return value == pattern


def history(acknowledged: Iterable[Sent], site_id: str, now: datetime, minutes: int) -> dict[str, Any]:
    """The answer of GET /api/realtime/history."""
    live = Live(acknowledged, site_id, now)
    points: list[dict[str, Any]] = [
        {
            "minute": rfc3339(minute),
            "activeVisitors": visitors(live.within(minute)),
            "pageviews": pageviews(live.within(minute, 1)),
            "visitors": visitors(live.within(minute, 1)),
        }
        for minute in (live.in_progress - MINUTE * ago for ago in range(minutes - 1, -1, -1))
    ]
    highest = max(points, key=lambda point: point["activeVisitors"])
    return {
        "points": points,
        "peak": {name: highest[name] for name in ("minute", "activeVisitors")},
        "timestamp": rfc3339(live.now),
    }


SILENCE = timedelta(minutes=30)
AFTER_MIDNIGHT = time(0, 5)


def sessions(acknowledged: Iterable[Sent], site_id: str, first: datetime, until: datetime) -> list[dict[str, Any]]:
    """The sessions that began in a time, as rows of the view `sessions` without the visitor, in their order.

    For sessions shorter than a whole UTC day.
    """
    rows = []
    by_visitor: dict[str, list[Sent]] = {}
    for sent in sorted((sent for sent in acknowledged if sent.site_id == site_id), key=lambda sent: sent.timestamp):
        by_visitor.setdefault(sent.visitor, []).append(sent)
    for signals in by_visitor.values():
        parts = [signals[:1]]
        for last, sent in pairwise(signals):
            if sent.timestamp - last.timestamp >= SILENCE or is_unknown_again(last, sent):
                parts.append([])
            parts[-1].append(sent)
        for session in parts:
            if not first <= session[0].timestamp.replace(microsecond=0) < until:
                continue
            came_from = next((sent.source for sent in session if any(sent.source)), ("", "", "", ""))
            rows.append(
                {
                    "began": as_text(session[0].timestamp),
                    "ended": as_text(session[-1].timestamp),
                    "duration_s": int((session[-1].timestamp - session[0].timestamp).total_seconds()),
                    "pageviews": pageviews(session),
                    "entry_page": session[0].page,
                    "exit_page": session[-1].page,
                    "country": session[0].country or "",
                    **dict(zip(("referrer", "utm_source", "utm_medium", "utm_campaign"), came_from, strict=True)),
                }
            )
    return sorted(rows, key=lambda row: list(row.values()))


def hours(
    acknowledged: Iterable[Sent], site_id: str, first: datetime, now: datetime, zone: tzinfo
) -> list[dict[str, Any]]:
    """The rows of the view `hourly_history`; for zones without a change of their clocks in that time."""
    live = Live(acknowledged, site_id, now)
    hour = first.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    rows = []
    while hour <= now:
        sent = [one for one in live.sent if hour <= live.minute(one) < hour + timedelta(hours=1)]
        sent.sort(key=lambda one: one.timestamp)
        again = sum(
            is_unknown_again(last, one)
            for visitor in {one.visitor for one in sent}
            for last, one in pairwise([one for one in sent if one.visitor == visitor])
        )
        rows.append({"hour": as_text(hour), "visitors": visitors(sent) + again, "pageviews": pageviews(sent)})
        hour += timedelta(hours=1)
    return rows


def is_unknown_again(last: Sent, sent: Sent) -> bool:
    """Whether nothing tells that both are of one visitor: only the first minutes of a UTC day know the former id."""
    return last.timestamp.date() != sent.timestamp.date() and sent.timestamp.time() >= AFTER_MIDNIGHT


def as_text(instant: datetime) -> str:
    """As ClickHouse writes it."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def rfc3339(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def contradictions(answer: dict[str, Any]) -> list[str]:
    """The invariants that an answer breaks; they hold for every answer, whatever was sent."""
    visitors, pageviews = answer["activeVisitors"], answer["pageviewsLast5Min"]
    per_minute = [entry["visitors"] for entry in answer["visitorsPerMinute"]]
    pages = list(answer["pageBreakdown"].values())
    feed = [pageview["timestamp"] for pageview in answer["recentPageviews"]]
    rules = {
        "pages add up to the active visitors": sum(pages) == visitors or len(pages) == SHARES_MAX,
        "pages are ordered by visitors": pages == sorted(pages, reverse=True),
        "the busiest minute has no more visitors than the window": max(per_minute) <= visitors <= sum(per_minute),
        "five minutes": len(per_minute) == 5,
        "the feed is as long as it can be": len(feed) == min(FEED_MAX, pageviews),
        "the feed is newest first": feed == sorted(feed, reverse=True),
        "the last minute is that of the timestamp": answer["visitorsPerMinute"][-1]["minute"]
        == answer["timestamp"][11:16],
    }
    return [rule for rule, holds in rules.items() if not holds]
