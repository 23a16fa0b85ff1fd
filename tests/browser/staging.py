"""Stands in for the API behind one page, whose clock is in the test's hands."""

from datetime import datetime, timedelta
from typing import Any

import httpx
from playwright.async_api import Page, Route

NOW = "2024-12-10T14:32:20Z"


def an_answer(visitors: int = 3, **changes: Any) -> dict[str, Any]:
    """An answer of the API as the contract has it."""
    answer = {
        "activeVisitors": visitors,
        "pageviewsLast5Min": 2 * visitors,
        "pageBreakdown": {"/": visitors - 1, "/pricing": 1} if visitors else {},
        "recentPageviews": [
            {"page": "/pricing", "timestamp": "2024-12-10T14:32:15Z", "country": "US"},
            {"page": "/", "timestamp": "2024-12-10T14:32:08Z", "country": None},
        ][: 2 * visitors],
        "visitorsPerMinute": [{"minute": f"14:{28 + age}", "visitors": min(visitors, age)} for age in range(5)],
        "timestamp": NOW,
    }
    return answer | changes


def a_breakdown(by: str, *shares: tuple[str | None, int], active: int = 0) -> dict[str, Any]:
    """An answer by a dimension; each visitor has two pageviews."""
    active = active or sum(visitors for _, visitors in shares)
    breakdown = [{"value": value, "visitors": visitors, "pageviews": 2 * visitors} for value, visitors in shares]
    return {"by": by, "activeVisitors": active, "pageviews": 2 * active, "breakdown": breakdown, "timestamp": NOW}


class Answers:
    """Answers polls as it is told to, and counts them. There is no stream, so the page polls."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = an_answer()
        self.headers: dict[str, str] = {}
        self.broken = False
        self.asked = 0
        self.breakdowns: dict[str, dict[str, Any]] = {}
        """Answers by dimension."""
        self.filters: list[dict[str, str]] = []
        """Those of each breakdown that was asked for."""
        self.minutes: dict[int, int] = {}
        """Active visitors so many minutes ago, for the history; of all others none."""

    async def answer_poll(self, route: Route) -> None:
        self.asked += 1
        if self.broken:
            await route.abort()
        else:
            await route.fulfill(status=self.status, json=self.body, headers=self.headers)

    async def answer_breakdown(self, route: Route) -> None:
        query = dict(httpx.URL(route.request.url).params)
        by = query.pop("by")
        del query["siteId"]
        self.filters.append(query)
        answer = self.breakdowns.get(by)
        if answer and not self.broken:
            await route.fulfill(json=answer)
        else:
            await route.fulfill(status=503, json={"error": "Busy"})

    async def answer_history(self, route: Route) -> None:
        query = httpx.URL(route.request.url).params
        now, ago = datetime.fromisoformat(NOW).replace(second=0), 1440 * int(query.get("daysAgo", 0))
        points = [
            {
                "minute": f"{now - timedelta(minutes=age + ago):%Y-%m-%dT%H:%M:%SZ}",
                "activeVisitors": self.minutes.get(age + ago, 0),
                "pageviews": 0,
                "visitors": 0,
            }
            for age in reversed(range(int(query["minutes"])))
        ]
        await route.fulfill(json={"points": points, "peak": points[0], "timestamp": NOW})


async def without_push(page: Page) -> None:
    """Let streams end before they say anything, so that the page polls."""
    await page.route("**/api/realtime/stream?*", lambda route: route.fulfill(content_type="text/event-stream"))


async def stage(page: Page) -> Answers:
    """Put a stand-in behind a page, and its clock into the test's hands."""
    answers = Answers()
    await page.clock.install()
    await without_push(page)
    await page.route("**/api/realtime?*", answers.answer_poll)
    await page.route("**/api/realtime/breakdown?*", answers.answer_breakdown)
    await page.route("**/api/realtime/history?*", answers.answer_history)
    return answers
