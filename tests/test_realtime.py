"""GET /api/realtime: each row of the contract, on whole answers."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Api, MakeApi, Signals

pytestmark = pytest.mark.cluster

CORS = {"access-control-allow-origin": "*", "cache-control": "no-cache"}


def minutes(api: Api, *visitors: int) -> list[dict[str, Any]]:
    """visitorsPerMinute with these numbers, oldest first."""
    first = api.clock() - timedelta(minutes=4)
    return [{"minute": f"{first + timedelta(minutes=i):%H:%M}", "visitors": n} for i, n in enumerate(visitors)]


def stamp(api: Api, minutes_ago: float = 0) -> str:
    return f"{api.clock() - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%SZ}"


async def test_an_empty_site_answers_zeros_and_five_minutes(api: Api) -> None:
    assert await api.realtime() == {
        "activeVisitors": 0,
        "pageviewsLast5Min": 0,
        "pageBreakdown": {},
        "recentPageviews": [],
        "visitorsPerMinute": minutes(api, 0, 0, 0, 0, 0),
        "timestamp": stamp(api),
    }


async def test_an_answer_speaks_of_one_window_in_every_field(api: Api, signals: Signals) -> None:
    await signals((4, "ann", "/"), (3, "ann", "/pricing"), (1, "bob", "/docs"), country="DE")
    await signals((1, "eve", "/docs"))
    assert await api.realtime() == {
        "activeVisitors": 3,
        "pageviewsLast5Min": 4,
        "pageBreakdown": {"/docs": 2, "/pricing": 1},
        "recentPageviews": [
            {"page": "/docs", "timestamp": stamp(api, 1), "country": None},
            {"page": "/docs", "timestamp": stamp(api, 1), "country": "DE"},
            {"page": "/pricing", "timestamp": stamp(api, 3), "country": "DE"},
            {"page": "/", "timestamp": stamp(api, 4), "country": "DE"},
        ],
        "visitorsPerMinute": minutes(api, 1, 1, 0, 2, 0),
        "timestamp": stamp(api),
    }


async def test_a_visitor_on_two_pages_is_counted_on_the_latest(api: Api, signals: Signals) -> None:
    await signals((3, "ann", "/"), (1, "ann", "/pricing"), (1, "bob", "/"))
    assert (await api.realtime())["pageBreakdown"] == {"/": 1, "/pricing": 1}


@pytest.mark.parametrize("kind", ["event", "engagement", "heartbeat"])
async def test_other_signals_keep_a_visitor_active_but_are_no_pageviews(api: Api, signals: Signals, kind: str) -> None:
    await signals((2, "ann", "/reading", kind))
    answer = await api.realtime()
    assert answer["activeVisitors"] == 1
    assert answer["pageviewsLast5Min"] == 0
    assert answer["pageBreakdown"] == {"/reading": 1}
    assert answer["recentPageviews"] == []
    assert answer["visitorsPerMinute"] == minutes(api, 0, 0, 1, 0, 0)


async def test_the_window_is_the_minute_in_progress_and_the_four_before_it(api: Api, signals: Signals) -> None:
    api.clock.now = api.clock.now.replace(second=0)
    await signals((0, "ann", "/"))
    api.clock.advance(4 * 60 + 59)
    assert (await api.realtime())["visitorsPerMinute"] == minutes(api, 1, 0, 0, 0, 0)
    api.clock.advance(1)
    assert (await api.realtime())["activeVisitors"] == 0


async def test_the_feed_has_the_ten_newest_pageviews_with_a_total_order(api: Api, signals: Signals) -> None:
    await signals(*[(1, "ann", f"/{number:02}") for number in range(12)])
    pages = [pageview["page"] for pageview in (await api.realtime())["recentPageviews"]]
    assert pages == [f"/{number:02}" for number in range(10)]


async def test_pages_are_ordered_by_visitors_then_name_and_cut_at_one_hundred(api: Api, signals: Signals) -> None:
    events = [{"path": f"/{n:03}", "visitorId": f"v{n}"} for n in range(105)]
    events += [{"path": "/104", "visitorId": "w"}]
    await api.track({"siteId": "site_a", "batch": True, "events": events}, token=api.write)
    answer = await api.realtime()
    assert answer["activeVisitors"] == 106
    assert list(answer["pageBreakdown"].items()) == [("/104", 2), *((f"/{n:03}", 1) for n in range(99))]


async def test_pages_are_text_of_any_language(api: Api, signals: Signals) -> None:
    page = '/日本/ü "quoted" \\ back/😀'
    await signals((0, "ann", page))
    answer = await api.realtime()
    assert answer["pageBreakdown"] == {page: 1}
    assert answer["recentPageviews"][0]["page"] == page


async def test_the_last_signal_of_a_batch_is_the_latest(api: Api) -> None:
    events = [{"path": "/z", "visitorId": "ann"}, {"path": "/a", "visitorId": "ann"}]
    await api.track({"siteId": "site_a", "batch": True, "events": events}, token=api.write)
    answer = await api.realtime()
    assert answer["pageBreakdown"] == {"/a": 1}
    assert [pageview["page"] for pageview in answer["recentPageviews"]] == ["/a", "/z"]


async def test_a_signal_stamped_up_to_5_s_ahead_counts_in_the_minute_in_progress(api: Api, signals: Signals) -> None:
    api.clock.now = api.clock.now.replace(second=55)
    await signals((-5 / 60, "ann", "/ahead"), (0, "ann", "/now"), (-5 / 60, "bob", "/ahead"))
    answer = await api.realtime()
    assert answer["activeVisitors"] == 2
    assert answer["pageviewsLast5Min"] == 3
    assert answer["pageBreakdown"] == {"/ahead": 2}
    assert answer["visitorsPerMinute"] == minutes(api, 0, 0, 0, 0, 2)


async def test_a_signal_stamped_further_ahead_counts_nowhere(api: Api, signals: Signals) -> None:
    api.clock.now = api.clock.now.replace(second=54)
    await signals((0, "ann", "/now"))
    api.clock.advance(6)
    await signals((0, "ann", "/ahead"), (0, "bob", "/ahead"))
    api.clock.advance(-6)
    answer = await api.realtime()
    assert answer["activeVisitors"] == 1
    assert answer["pageviewsLast5Min"] == 1
    assert answer["pageBreakdown"] == {"/now": 1}
    assert answer["visitorsPerMinute"] == minutes(api, 0, 0, 0, 0, 1)


async def test_a_visitor_whose_clock_is_past_midnight_already_counts_once(api: Api, signals: Signals) -> None:
    api.clock.set("23:59:57", days=-1)
    await signals((0, "ann", "/now"), (-4 / 60, "ann", "/tomorrow"))
    answer = await api.realtime()
    assert answer["activeVisitors"] == 1
    assert answer["pageBreakdown"] == {"/tomorrow": 1}
    assert answer["visitorsPerMinute"] == minutes(api, 0, 0, 0, 0, 1)


async def test_an_answer_does_not_depend_on_merges(api: Api, signals: Signals) -> None:
    await signals((3, "ann", "/"), (3, "ann", "/pricing"), (3, "bob", "/"), (0, "ann", "/docs", "heartbeat"))
    before = await api.realtime()
    for table in ("signals", "visitor_minutes", "recent_pageviews"):
        await api.execute(f"OPTIMIZE TABLE {table} FINAL")
    assert await api.realtime() == before


@pytest.mark.parametrize(("missing", "pageviews", "in_feed"), [("recent_pageviews", 0, 0), ("visitor_minutes", 10, 10)])
async def test_feed_and_pageviews_agree_when_an_insert_has_committed_to_one_table_only(
    api: Api, signals: Signals, missing: str, pageviews: int, in_feed: int
) -> None:
    await signals(*[(1, "ann", f"/{number}") for number in range(12)])
    await api.execute(f"TRUNCATE TABLE {missing}")
    answer = await api.realtime()
    assert (answer["pageviewsLast5Min"], len(answer["recentPageviews"])) == (pageviews, in_feed)


async def test_the_feed_knows_the_newest_of_any_moment(api: Api, signals: Signals) -> None:
    await signals((0, "ann", "/then"))
    then = api.clock()
    for minutes in (1, 2):
        api.clock.advance(60)
        await signals(*[(0, "bob", f"/{minutes}/{number}") for number in range(12)])
    await api.execute("OPTIMIZE TABLE recent_pageviews FINAL")
    assert len((await api.realtime())["recentPageviews"]) == 10
    api.clock.now = then
    answer = await api.realtime()
    assert answer["pageviewsLast5Min"] == 1
    assert [pageview["page"] for pageview in answer["recentPageviews"]] == ["/then"]


async def test_sites_do_not_see_each_other(api: Api, signals: Signals) -> None:
    await signals((1, "ann", "/a"), site_id="site_a")
    await signals((1, "ann", "/b"), site_id="site_b")
    assert (await api.realtime("site_a"))["pageBreakdown"] == {"/a": 1}
    assert (await api.realtime("site_b"))["pageBreakdown"] == {"/b": 1}


@pytest.mark.parametrize(
    ("time", "per_minute", "feed"),
    [
        ("23:59:30", [0, 0, 0, 1, 1], ["/23:59:10", "/23:58:10"]),
        ("00:00:30", [0, 0, 1, 1, 1], ["/00:00:10", "/23:59:10", "/23:58:10"]),
        ("00:03:59", [1, 1, 0, 1, 1], ["/00:03:50", "/00:02:10", "/00:00:10", "/23:59:10"]),
        ("00:04:00", [1, 0, 1, 1, 0], ["/00:03:50", "/00:02:10", "/00:00:10"]),
        ("00:05:00", [0, 1, 1, 0, 0], ["/00:03:50", "/00:02:10"]),
        ("00:06:30", [1, 1, 0, 1, 0], ["/00:05:40", "/00:03:50", "/00:02:10"]),
    ],
)
async def test_a_visitor_active_across_midnight_counts_once(
    api: Api, signals: Signals, time: str, per_minute: list[int], feed: list[str]
) -> None:
    api.clock.set("23:50:00", days=-1)
    asked_at = datetime.fromisoformat(f"{api.clock().date() + timedelta(days=time < '12')}T{time}Z")
    for moment in ("23:58:10", "23:59:10", "00:00:10", "00:02:10", "00:03:50", "00:05:40"):
        api.clock.set(moment, days=moment == "00:00:10")
        if api.clock() > asked_at:
            break
        await signals((0, "ann", f"/{moment}"))
    api.clock.now = asked_at
    answer = await api.realtime()
    assert answer["activeVisitors"] == 1
    assert answer["pageviewsLast5Min"] == len(feed)
    assert answer["pageBreakdown"] == {feed[0]: 1}
    assert [pageview["page"] for pageview in answer["recentPageviews"]] == feed
    assert answer["visitorsPerMinute"] == minutes(api, *per_minute)


# Order of checks, status codes and error bodies.


async def test_answers_and_headers_of_a_poll(api: Api) -> None:
    response = await api.get("/api/realtime?siteId=site_a", api.read)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert {name: response.headers[name] for name in CORS} == CORS
    assert "etag" not in response.headers


async def test_a_preflight_needs_no_token(api: Api) -> None:
    response = await api.client.options("/api/realtime", headers={"Origin": "https://x.test"})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-headers"] == "Authorization"
    assert response.headers["access-control-allow-methods"] == "GET, OPTIONS"
    assert response.headers["access-control-max-age"] == "7200"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_405_before_the_token_is_looked_at(api: Api, method: str) -> None:
    response = await api.client.request(method, "/api/realtime")
    assert (response.status_code, response.json()) == (405, {"error": "Method not allowed"})
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer nonsense",
        "Bearer ph_live_unknown",
        "ph_live_unknown",
        "Bearer ph_live_" + "x" * 5000,
        "Bearer ph_live_' OR 1=1 --",
    ],
)
async def test_a_missing_malformed_or_unknown_token_is_401_before_site_id(api: Api, header: str | None) -> None:
    response = await api.client.get("/api/realtime", headers={} if header is None else {"Authorization": header})
    assert (response.status_code, response.json()) == (401, {"error": "Invalid or expired token"})
    assert response.headers["www-authenticate"] == "Bearer"
    assert {name: response.headers[name] for name in CORS} == CORS


@pytest.mark.parametrize("query", ["", "?siteId=", "?siteId=%20", "?siteId=site_a&siteId=site_b", "?siteid=site_a"])
async def test_a_missing_blank_or_repeated_site_id_is_400(api: Api, query: str) -> None:
    response = await api.get("/api/realtime" + query, api.read)
    assert (response.status_code, response.json()) == (400, {"error": "Site ID required"})


@pytest.mark.parametrize(
    "site_id", ["unknown", "x" * 10_000, "sit%C3%A9", "' OR 1=1 --", "site_a%00", "%FF", "foreign"]
)
async def test_an_unknown_or_foreign_site_is_403(api: Api, site_id: str) -> None:
    await api.add_site("foreign", tenant="rival", domain="rival.example")
    response = await api.get(f"/api/realtime?siteId={site_id}", api.read)
    assert (response.status_code, response.json()) == (403, {"error": "Access denied"})
    assert {name: response.headers[name] for name in CORS} == CORS


async def test_a_write_key_does_not_read_and_an_admin_key_does(api: Api) -> None:
    assert (await api.get("/api/realtime?siteId=site_a", api.write)).status_code == 403
    assert (await api.get("/api/realtime?siteId=site_a", api.admin)).status_code == 200


async def test_a_bound_key_reads_its_site_alone(api: Api) -> None:
    _, token = await api.add_key("read", site_id="site_b")
    assert (await api.get("/api/realtime?siteId=site_b", token)).status_code == 200
    assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 403
    assert (await api.get("/api/sites", token)).json()["sites"] == [
        {"id": "site_b", "domain": "example.org", "domains": ["example.org"], "name": "example.org"}
    ]


async def test_an_expired_key_is_401(api: Api) -> None:
    _, token = await api.add_key("read", expires_days=1)
    assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 200
    api.clock.advance(24 * 3600 + 60)
    assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 401


async def test_a_revoked_key_is_401_on_every_worker_after_its_next_refresh(api: Api, make_api: MakeApi) -> None:
    other = await make_api()
    key_id, token = await api.add_key("read")
    await other.store.refresh()
    assert (await other.get("/api/realtime?siteId=site_a", token)).status_code == 200
    await api.store.administration.revoke_key("acme", key_id)
    for worker in (api, other):
        await worker.store.refresh()
        assert (await worker.get("/api/realtime?siteId=site_a", token)).status_code == 401


async def test_unknown_paths_are_404_in_json(api: Api) -> None:
    response = await api.get("/api/nothing", api.read)
    assert (response.status_code, response.json()) == (404, {"error": "Not found"})
