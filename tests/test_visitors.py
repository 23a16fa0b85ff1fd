"""The demo's visitors behave like people."""

import asyncio
from collections import defaultdict
from itertools import pairwise, takewhile

import httpx
import pytest

from app.client.simulation import (
    BATCH_MAX_SIGNALS,
    HEARTBEAT_S,
    HISTORY_S,
    WEBSITES,
    Action,
    Website,
    arrivals_per_s,
    behave,
    simulate,
)
from app.domain.clock import utc_now
from app.settings import Settings
from app.store.statements import load_statements
from app.wiring import create_app
from tests.conftest import Api, MakeApi
from tests.kit.waiting import GIVE_UP_S, until

pytestmark = pytest.mark.cluster

HOUR_S = 3600


def hour_of(website: Website, seed: int = 7) -> list[Action]:
    return list(takewhile(lambda action: action.at_s < HOUR_S, behave(website, seed, 0)))


def visits(actions: list[Action]) -> dict[str, list[Action]]:
    found = defaultdict(list)
    for action in actions:
        found[action.visitor].append(action)
    return found


@pytest.mark.parametrize("website", WEBSITES)
def test_every_link_leads_to_a_page_that_leads_on(website: Website) -> None:
    assert set(website.entries) <= set(website.links)
    assert {target for targets in website.links.values() for target in targets} <= set(website.links)
    assert all(website.links.values())


@pytest.mark.parametrize("website", WEBSITES)
def test_visitors_come_in_on_an_entry_and_follow_links(website: Website) -> None:
    for actions in visits(hour_of(website)).values():
        pages = [action for action in actions if action.kind == "pageview"]
        assert pages[0].path in website.entries
        assert pages[0].referrer in website.referrers
        for before, after in pairwise(pages):
            assert after.path in website.links[before.path]
            assert after.referrer == ""


@pytest.mark.parametrize("website", WEBSITES)
def test_whoever_reads_on_a_page_says_so_every_half_minute(website: Website) -> None:
    for actions in visits(hour_of(website)).values():
        for before, after in pairwise(actions):
            if after.kind == "heartbeat":
                assert after.path == before.path
                assert after.at_s - before.at_s == pytest.approx(HEARTBEAT_S)
            else:
                assert after.at_s - before.at_s <= HEARTBEAT_S + 1e-6


def test_every_visitor_leaves() -> None:
    actions = hour_of(WEBSITES[0])
    ends = {visitor: (own[0].at_s, own[-1].at_s) for visitor, own in visits(actions).items()}
    early = [end for begin, end in ends.values() if begin < HOUR_S / 2]
    gone = [end for end in early if end < HOUR_S - HEARTBEAT_S - 1]
    assert len(early) > 100
    assert len(gone) > 0.98 * len(early)


def test_a_visitor_has_one_country_and_visitors_differ_by_it() -> None:
    countries = {frozenset(action.country for action in own) for own in visits(hour_of(WEBSITES[1])).values()}
    assert all(len(country) == 1 for country in countries)
    assert len(countries) > 5


def test_actions_come_in_order_of_time_and_the_same_seed_gives_the_same() -> None:
    actions = hour_of(WEBSITES[0])
    assert [action.at_s for action in actions] == sorted(action.at_s for action in actions)
    assert actions == hour_of(WEBSITES[0])
    assert actions != hour_of(WEBSITES[0], seed=8)


def test_arrivals_come_in_waves() -> None:
    rates = [arrivals_per_s(at_s, phase=1.0) for at_s in range(HOUR_S)]
    assert min(rates) > 0
    assert max(rates) > 3 * min(rates)


@pytest.mark.parametrize("website", WEBSITES)
def test_tens_of_visitors_are_active_at_any_time(website: Website) -> None:
    actions = list(takewhile(lambda action: action.at_s < HOUR_S, behave(website, 7, -HOUR_S)))
    for now_s in range(0, HOUR_S, 60):
        assert 20 <= len({a.visitor for a in actions if now_s - 300 < a.at_s <= now_s}) <= 200


async def test_soon_the_answers_show_a_site_in_use(make_api: MakeApi) -> None:
    api = await make_api(clock=utc_now)
    await api.add_site("site_a")
    await api.add_site("site_b")
    _, api.read = await api.add_key("read")
    _, write = await api.add_key("write")
    transport = httpx.ASGITransport(create_app(Settings(track_max_signals_per_minute=0), api.store))
    stop = asyncio.Event()
    running = asyncio.create_task(
        simulate("http://pulsehouse.test", ["site_a", "site_b"], write, stop, seed=7, transport=transport)
    )

    async def are_in_use() -> bool:
        answers = [await api.realtime("site_a"), await api.realtime("site_b")]
        assert all(view["country"] for answer in answers for view in answer["recentPageviews"])
        minutes = [[minute["visitors"] > 0 for minute in answer["visitorsPerMinute"]] for answer in answers]
        return all(answer["activeVisitors"] >= 20 for answer in answers) and all(sum(used) >= 4 for used in minutes)

    await until(are_in_use)
    stop.set()
    counts = await asyncio.wait_for(running, GIVE_UP_S)
    assert counts.sent > 40
    assert counts.failed == 0


async def test_without_a_service_it_waits_and_ends_when_it_is_told_to() -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ConnectError("nobody listens")

    stop = asyncio.Event()
    running = asyncio.create_task(
        simulate("http://pulsehouse.test", ["site_a"], "ph_live_x", stop, transport=httpx.MockTransport(refuse))
    )
    await until(lambda: len(asked) > 1)
    stop.set()
    counts = await asyncio.wait_for(running, GIVE_UP_S)
    assert (counts.sent, counts.failed) == (0, 0)
    assert set(asked) == {"/api/track"}


def test_history_fits_what_the_service_accepts() -> None:
    assert HISTORY_S <= 270
    assert BATCH_MAX_SIGNALS <= 1000


async def test_a_site_of_the_demo_has_two_days_of_visitors_behind_the_live_ones(api: Api) -> None:
    past = {"gap_s": 270, "pages": ["/", "/", "/a"], "countries": ["DE"], "referrers": ["", "news.example"]}
    now = api.clock().replace(microsecond=0)
    await api.store.engine.execute(load_statements()["demo/past"], {"site": "site_a", "now": now, **past})
    path = "/api/realtime/history?siteId=site_a&minutes=1440"
    for days_ago in (0, 1):
        points = (await api.get(f"{path}&daysAgo={days_ago}", api.read)).json()["points"]
        hours = [sum(point["visitors"] for point in points[start : start + 60]) for start in range(0, 1380, 60)]
        assert min(hours) > 0
        assert points[-1]["visitors"] == 0 if days_ago == 0 else points[-1]["visitors"] > 0
