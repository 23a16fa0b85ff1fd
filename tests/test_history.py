"""GET /api/realtime/history: each row of the contract, on whole answers."""

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Api, Signals

pytestmark = pytest.mark.cluster

MINUTES = "minutes: a whole number from 1 to 1440"


async def history(api: Api, minutes: int | None = None) -> dict[str, Any]:
    query = "" if minutes is None else f"&minutes={minutes}"
    response = await api.get(f"/api/realtime/history?siteId=site_a{query}", api.read)
    assert response.status_code == 200, response.text
    return dict(response.json())


def start(api: Api, minutes_ago: int) -> str:
    return f"{api.clock().replace(second=0) - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%SZ}"


def point(api: Api, minutes_ago: int, active: int, pageviews: int, visitors: int) -> dict[str, Any]:
    return {
        "minute": start(api, minutes_ago),
        "activeVisitors": active,
        "pageviews": pageviews,
        "visitors": visitors,
    }


@pytest.mark.parametrize("second", [0, 30])
async def test_a_site_without_visitors_has_thirty_minutes_of_zeros(api: Api, second: int) -> None:
    api.clock.now = api.clock.now.replace(second=second)
    assert await history(api) == {
        "points": [point(api, ago, 0, 0, 0) for ago in range(29, -1, -1)],
        "peak": {"minute": start(api, 29), "activeVisitors": 0},
        "timestamp": f"{api.clock():%Y-%m-%dT%H:%M:%SZ}",
    }


async def test_each_point_is_what_the_answer_said_at_its_end_and_the_peak_is_the_earliest(api: Api) -> None:
    for visitor, path in (("ann", "/"), ("bob", "/"), ("ann", "/a")):
        await api.track({"siteId": "site_a", "visitorId": visitor, "path": path}, token=api.write)
    api.clock.advance(6 * 60)
    await api.track({"siteId": "site_a", "visitorId": "eve", "type": "heartbeat"}, token=api.write)
    assert await history(api, 8) == {
        "points": [
            point(api, 7, 0, 0, 0),
            point(api, 6, 2, 3, 2),
            point(api, 5, 2, 0, 0),
            point(api, 4, 2, 0, 0),
            point(api, 3, 2, 0, 0),
            point(api, 2, 2, 0, 0),
            point(api, 1, 0, 0, 0),
            point(api, 0, 1, 0, 1),
        ],
        "peak": {"minute": start(api, 6), "activeVisitors": 2},
        "timestamp": f"{api.clock():%Y-%m-%dT%H:%M:%SZ}",
    }


@pytest.mark.parametrize("minutes", [1, 1440])
async def test_one_minute_and_a_whole_day(api: Api, signals: Signals, minutes: int) -> None:
    await signals((4, "ann", "/"))
    points = (await history(api, minutes))["points"]
    assert len(points) == minutes
    assert [points[0]["minute"], points[-1]["minute"]] == [start(api, minutes - 1), start(api, 0)]
    assert points[-1]["activeVisitors"] == 1


async def test_a_visitor_known_by_two_ids_around_midnight_counts_once_in_every_window(api: Api) -> None:
    api.clock.set("23:55:10", days=-1)
    said = []
    for _ in range(14):
        await api.track({"siteId": "site_a", "visitorId": "ann"}, token=api.write)
        said.append((await api.realtime())["activeVisitors"])
        api.clock.advance(60)
    api.clock.advance(-60)
    assert said == [1] * 14
    assert [one["activeVisitors"] for one in (await history(api, 14))["points"]] == said


async def test_the_last_window_of_a_day_knows_a_visitor_whose_clock_is_past_midnight_already(
    api: Api, signals: Signals
) -> None:
    api.clock.set("23:59:57", days=-1)
    await signals((0, "ann", "/now"), (-4 / 60, "ann", "/tomorrow"))
    assert (await history(api, 2))["points"] == [point(api, 1, 0, 0, 0), point(api, 0, 1, 2, 1)]


async def test_a_history_does_not_depend_on_merges(api: Api, signals: Signals) -> None:
    await signals((5, "ann", "/"), (5, "ann", "/a"), (3, "bob", "/"), (0, "ann", "/", "heartbeat"))
    before = await history(api)
    await api.execute("OPTIMIZE TABLE visitor_minutes FINAL")
    assert await history(api) == before


async def test_the_same_minutes_of_yesterday_are_whole_and_what_was_said_then(api: Api) -> None:
    api.clock.set("12:03:20", days=-1)
    for visitor, later_s in (("at the time", 0), ("later in the minute", 30), ("a minute later", 10)):
        api.clock.advance(later_s)
        await api.track({"siteId": "site_a", "visitorId": visitor}, token=api.write)
    api.clock.set("12:03:30", days=1)
    await api.track({"siteId": "site_a", "visitorId": "today"}, token=api.write)
    response = await api.get("/api/realtime/history?siteId=site_a&minutes=2&daysAgo=1", api.read)
    assert response.json() == {
        "points": [point(api, 1441, 0, 0, 0), point(api, 1440, 2, 2, 2)],
        "peak": {"minute": start(api, 1440), "activeVisitors": 2},
        "timestamp": f"{api.clock():%Y-%m-%dT%H:%M:%SZ}",
    }


@pytest.mark.any_engine
@pytest.mark.parametrize("days", ["", "-1", "31", "1.0", "1&daysAgo=1"])
async def test_days_out_of_range_are_400(api: Api, days: str) -> None:
    response = await api.get(f"/api/realtime/history?siteId=site_a&daysAgo={days}", api.read)
    assert (response.status_code, response.json()) == (400, {"error": "daysAgo: a whole number from 0 to 30"})


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "minutes", ["", "0", "1441", "-1", "+5", "5.0", "1e2", "five", "%D9%A5", "00000005", "9" * 5000, "5&minutes=5"]
)
async def test_minutes_out_of_range_are_400_before_the_site_is_looked_at(api: Api, minutes: str) -> None:
    response = await api.get(f"/api/realtime/history?siteId=unknown&minutes={minutes}", api.read)
    assert (response.status_code, response.json()) == (400, {"error": MINUTES})
