"""The views for analysts: each says what the API says, or the model, over midnight too."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from app.store.migrations import load_migrations
from app.store.statements import Statement
from tests.conftest import Api, MakeApi
from tests.kit.model import Sent, hours, sessions

pytestmark = pytest.mark.cluster

VIEWS = {
    name: re.findall(r"^    (\w+) +(.+?) +COMMENT '(.+)'", text, re.MULTILINE)
    for migration in load_migrations()
    for text in [migration.statement.text]
    for name in re.findall(r"^CREATE VIEW IF NOT EXISTS (\w+)\n\(", text, re.MULTILINE)
}
"""The columns that each view declares: name, type and comment."""
HOURS = timedelta(hours=1)
KINDS = ("pageview", "pageview", "pageview", "event", "heartbeat")


async def rows(api: Api, query: str, **parameters: Any) -> list[dict[str, Any]]:
    parameters = {"site": "site_a", "now": api.clock(), **parameters}
    answer = await api.database.fetch(Statement("test", f"{query} FORMAT JSONEachRow"), parameters)
    return [msgspec.json.decode(line) for line in answer.splitlines()]


async def of_api(api: Api, path: str) -> dict[str, Any]:
    response = await api.get(f"/api/realtime/{path}", api.read)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def send(api: Api, sent: Sent) -> Sent:
    """Have the service take a signal in the instant of its timestamp."""
    api.clock.now = sent.timestamp
    body = {
        "siteId": sent.site_id,
        "type": sent.type,
        "path": sent.page,
        "visitorId": sent.visitor,
        "country": sent.country,
        "timestamp": sent.timestamp.isoformat(),
        "referrer": sent.source[0],
    }
    response = await api.track(body, token=api.write)
    assert response.status_code == 200, response.text
    return sent


def text_of(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%F %T}"


@pytest.mark.parametrize("time", ["12:00:30", "23:59:57", "00:02:10", "00:04:59"])
async def test_the_live_views_say_what_the_api_says(api: Api, time: str) -> None:
    api.clock.set(time, days=1)
    now = api.clock()
    for seconds_ago, visitor, page, kind, country, referrer in [
        (540, "gone", "/", "pageview", "DE", "old.example"),
        (340, "old", "/", "pageview", "DE", "old.example"),
        (220, "ann", "/", "pageview", "DE", "news.example"),
        (190, "bob", "/docs", "pageview", "US", ""),
        (130, "ann", "/pricing", "pageview", "FR", ""),
        (100, "eve", "/docs", "heartbeat", None, "blog.example"),
        (20, "bob", "/docs", "event", "US", "blog.example"),
        (0, "ann", "/docs", "pageview", "FR", ""),
    ]:
        timestamp = now - timedelta(seconds=seconds_ago)
        await send(api, Sent("site_a", timestamp, kind, visitor, page, country, (referrer, "", "", "")))
    await send(api, Sent("site_b", now, "pageview", "ann", "/", "DE"))
    api.clock.now = now

    for view, by in (("live_pages", "page"), ("live_sources", "referrer"), ("live_countries", "country")):
        query = f"SELECT * FROM {view}(site = {{site:String}}, now = {{now:DateTime('UTC')}})"
        answer = await of_api(api, f"breakdown?siteId=site_a&by={by}")
        assert answer["activeVisitors"] == 3
        shares = [{by: share.pop("value") or "", **share} for share in answer["breakdown"]]
        assert await rows(api, f"{query} ORDER BY visitors DESC, {by} = '', {by}") == shares

    first = now - timedelta(minutes=13)
    query = (
        "SELECT * FROM live_history(site = {site:String}, first = {first:DateTime('UTC')}, now = {now:DateTime('UTC')})"
    )
    points = (await of_api(api, "history?siteId=site_a&minutes=14"))["points"]
    assert await rows(api, query, first=first) == [
        {
            "minute": point["minute"].replace("T", " ").removesuffix("Z"),
            "active_visitors": point["activeVisitors"],
            "visitors": point["visitors"],
            "pageviews": point["pageviews"],
        }
        for point in points
    ]

    sites = (await of_api(api, "overview"))["sites"]
    last = text_of(now.replace(second=0))
    assert await rows(api, "SELECT * FROM sites_now(now = {now:DateTime('UTC')}) ORDER BY site_id") == [
        {
            "site_id": site["siteId"],
            "tenant": "acme",
            "name": {"site_a": "example.com", "site_b": "example.org"}[site["siteId"]],
            "visitors": site["activeVisitors"],
            "pageviews": site["pageviewsLast5Min"],
            "last_signal": last,
        }
        for site in sorted(sites, key=lambda site: str(site["siteId"]))
    ]


async def test_a_site_that_is_silent_or_removed_is_told_from_one_with_visitors(api: Api) -> None:
    await api.add_site("site_removed")
    await send(api, Sent("site_removed", api.clock(), "pageview", "ann", "/", None))
    await send(api, Sent("site_b", api.clock(), "heartbeat", "ann", "/", None))
    heard = text_of(api.clock().replace(second=0))
    await api.store.administration.remove_site("acme", "site_removed")
    api.clock.advance(3_600)
    query = (
        "SELECT site_id, visitors, pageviews, last_signal FROM sites_now(now = {now:DateTime('UTC')}) ORDER BY site_id"
    )
    silent = {"site_id": "site_a", "visitors": 0, "pageviews": 0, "last_signal": None}
    assert await rows(api, query) == [silent, silent | {"site_id": "site_b", "last_signal": heard}]
    api.clock.advance(86_400)
    assert await rows(api, query) == [silent, silent | {"site_id": "site_b"}]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(2, 8))])
async def test_sessions_and_hours_over_midnight_are_the_models(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    api.clock.set("21:40:00", days=-1)
    midnight = (api.clock() + 3 * HOURS).replace(hour=0, minute=0, second=0)
    planned = [
        Sent("site_a", midnight + timedelta(seconds=seconds), "pageview", "owl", page, "DE")
        for seconds, page in ((-90, "/"), (60, "/a"), (400, "/b"))
    ]
    for _ in range(75):
        # Most of them within the half hour that keeps a session, some just at its end, and many soon after midnight.
        api.clock.advance(chance.choice([1, 7, 60, 140, 299]))
        if chance.random() < 0.1:
            api.clock.advance(chance.choice([1_500, 1_799, 1_800]))
        source = (chance.choice(["", "", "news.example", "blog.example"]), "", "", "")
        country, page = chance.choice([None, "DE", "US"]), f"/{chance.randrange(5)}"
        planned.append(Sent("site_a", api.clock(), chance.choice(KINDS), chance.choice("abcd"), page, country, source))
    sent = [await send(api, signal) for signal in sorted(planned, key=lambda signal: signal.timestamp)]
    assert sent[0].timestamp.date() != sent[-1].timestamp.date()
    now = api.clock()

    columns = ", ".join(name for name, _, _ in VIEWS["sessions"] if name != "visitor")
    of_sessions = "sessions(site = {site:String}, first = {first:DateTime('UTC')}, until = {now:DateTime('UTC')})"
    for first in (sent[0].timestamp, sent[0].timestamp + 2 * HOURS):
        found = await rows(
            api, f"SELECT {columns} FROM {of_sessions} ORDER BY ALL", first=first, now=now + timedelta(seconds=1)
        )
        assert found == sessions(sent, "site_a", first, now + timedelta(seconds=1))
        assert found
    given = "site = {site:String}, first = {first:DateTime('UTC')}, now = {now:DateTime('UTC')}, zone = {zone:String}"
    query = f"SELECT * FROM hourly_history({given})"
    for zone in ("UTC", "Asia/Kolkata", "America/St_Johns"):
        first = sent[0].timestamp - HOURS
        assert await rows(api, query, first=first, zone=zone) == hours(sent, "site_a", first, now, ZoneInfo(zone)), zone


async def test_a_view_returns_the_columns_that_it_declares_each_with_a_comment(make_api: MakeApi) -> None:
    api = await make_api()
    values = {"site": "''", "zone": "'UTC'"}
    described = {}
    for line in (
        await api.select(
            "SELECT name, arrayMap(p -> p.1, parameterized_view_parameters) FROM system.tables "
            "WHERE database = currentDatabase() AND engine = 'View'"
        )
    ).splitlines():
        name, _, given = line.partition("\t")
        parameters = ", ".join(f"{one} = {values.get(one, 'now()')}" for one in re.findall(r"\w+", given))
        table = f"{name}({parameters})" if parameters else name
        columns = await api.select(f"DESCRIBE TABLE (SELECT * FROM {table})")
        described[name] = [tuple(column.split("\t")[:2]) for column in columns.splitlines()]
    assert {name: columns for name, columns in described.items() if name in VIEWS} == {
        name: [(column, kind.replace("\\'", "'")) for column, kind, _ in columns] for name, columns in VIEWS.items()
    }
    assert described.keys() - VIEWS.keys() == {"live_minutes", "live_visitors"}


async def test_views_read_as_whoever_asks(make_api: MakeApi) -> None:
    api = await make_api()
    rows = await api.select("SELECT name FROM system.tables WHERE database = currentDatabase() AND definer != ''")
    assert all(name.endswith("_mv") for name in rows.splitlines())
