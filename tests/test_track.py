"""POST /api/track: each row of the contract's tables."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from litestar.exceptions import InternalServerException

from app.http import rate_limit
from app.settings import Settings
from app.store import intake
from tests.conftest import Api, MakeApi
from tests.kit.user_agents import BROWSER, GOOGLEBOT


async def stored(api: Api) -> list[dict[str, Any]]:
    """All signals, oldest first, without their visitor ids."""
    columns = (
        "site_id, type, page, country, referrer, utm_source, utm_medium, utm_campaign, action, category, label, value"
    )
    rows = await api.select(f"SELECT toJSONString(tuple({columns})) FROM signals ORDER BY timestamp, page")
    return [dict(zip(columns.split(", "), json.loads(line), strict=True)) for line in rows.splitlines()]


def row(page: str = "/", kind: str = "pageview", site_id: str = "site_a", **more: Any) -> dict[str, Any]:
    texts = ("country", "referrer", "utm_source", "utm_medium", "utm_campaign", "action", "category", "label")
    return {"site_id": site_id, "type": kind, "page": page, **dict.fromkeys(texts, ""), "value": None, **more}


async def test_a_signal_is_stored_and_in_the_next_answer(api: Api) -> None:
    response = await api.track({"siteId": "site_a", "path": "/pricing"})
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert response.headers["access-control-allow-origin"] == "*"
    assert await stored(api) == [row("/pricing")]
    assert (await api.realtime())["pageBreakdown"] == {"/pricing": 1}


async def test_defaults_are_a_pageview_of_the_front_page(api: Api) -> None:
    await api.track({"siteId": "site_a"})
    assert await stored(api) == [row("/")]


async def test_text_plain_is_read_as_json(api: Api) -> None:
    response = await api.track(b'{"siteId": "site_a", "path": "/beacon"}', Content_Type="text/plain;charset=UTF-8")
    assert response.status_code == 200
    assert await stored(api) == [row("/beacon")]


async def test_a_batch_is_stored_whole_and_counted(api: Api) -> None:
    events = [{"path": "/a"}, {"path": "/b", "type": "event", "siteId": "site_b"}, {"path": "/c", "type": "heartbeat"}]
    response = await api.track({"siteId": "site_a", "batch": True, "events": events})
    assert (response.status_code, response.json()) == (200, {"success": True, "count": 3})
    assert await stored(api) == [row("/a"), row("/b", "event", "site_b"), row("/c", "heartbeat")]


async def test_the_tracker_of_the_family_is_understood(api: Api) -> None:
    event = {
        "type": "pageview",
        "siteId": "site_a",
        "url": "https://example.com/docs?x=1",
        "path": "/docs",
        "title": "Docs",
        "referrer": "https://www.google.com/search?q=x",
        "sessionId": "s1",
        "visitorId": "ignored without a key",
        "pageCount": 3,
        "device": {"width": 1440, "nested": [1, {"deep": True}]},
        "source": {"type": "search"},
        "utm": {"source": "news", "medium": "mail", "campaign": "launch", "term": "x"},
        "timestamp": 1733841135,
        "value": 12.5,
        "isBounce": False,
        "timeOnPage": 3,
        "action": None,
    }
    response = await api.track({"batch": True, "siteId": "site_a", "events": [event]})
    assert (response.status_code, response.json()) == (200, {"success": True, "count": 1})
    assert await stored(api) == [
        row(
            "/docs",
            referrer="www.google.com",
            utm_source="news",
            utm_medium="mail",
            utm_campaign="launch",
            value=12.5,
        )
    ]


async def test_what_an_event_says_is_stored_where_it_is_text_and_a_number_and_refused_nowhere(api: Api) -> None:
    whole: dict[str, Any] = {"action": " signup\n", "category": "users", "label": "x" * 1025, "value": -3}
    others: list[dict[str, Any]] = [
        {"action": 7, "category": {"a": [1]}, "label": [], "value": "12.5"},
        {"action": None, "category": None, "label": True, "value": True},
        {"value": 10**400},
    ]
    for given in (whole, *others):
        api.clock.advance(1)
        response = await api.track({"siteId": "site_a", "type": "event", "path": "/e", **given})
        assert (response.status_code, response.json()) == (200, {"success": True})
    assert await stored(api) == [
        row("/e", "event", action="signup", category="users", label="x" * 1024, value=-3),
        *[row("/e", "event")] * len(others),
    ]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/a?b=c#d", "/a"),
        ("/a#b?c", "/a"),
        ("https://example.com/a/b?c#d", "/a/b"),
        ("https://example.com", "/"),
        ("https://example.com?x=/y", "/"),
        ("pricing", "/pricing"),
        ("", "/"),
        (None, "/"),
        ("?q=1", "/"),
        ("//double/slash", "//double/slash"),
        ("/日本語/ü", "/日本語/ü"),
        ("/a%20b", "/a%20b"),
        ("/" + "x" * 2047, "/" + "x" * 2047),
        ("/x?" + "q" * 5000, "/x"),
    ],
)
async def test_a_page_is_the_path_alone(api: Api, path: str | None, page: str) -> None:
    assert (await api.track({"siteId": "site_a", "path": path})).status_code == 200
    assert await stored(api) == [row(page)]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://News.Example.com:8080/a?b", "news.example.com"),
        ("news.example.com/a", "news.example.com"),
        ("http://user:pass@host.example/", "host.example"),
        ("", ""),
        (None, ""),
        ("http://[broken", ""),
        ("/relative", ""),
    ],
)
async def test_a_referrer_is_stored_as_host_name_only(api: Api, referrer: str | None, host: str) -> None:
    assert (await api.track({"siteId": "site_a", "referrer": referrer})).status_code == 200
    assert await stored(api) == [row(referrer=host)]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"", "body: not JSON"),
        (b"nonsense", "body: not JSON"),
        (b"[]", "body: expected object, got array"),
        (b'{"siteId":"site_a","path":"/\xff"}', "body: not UTF-8"),
        (b'{"siteId":"site_a","path":NaN}', "body: not JSON"),
        (b'{"siteId":"site_a","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "body: nested too deeply"),
        (b'{"siteId":"site_a","path":"\\ud800"}', "body: not JSON"),
        ({"siteId": 7}, "siteId: expected str | null, got int"),
        ({"siteId": "site_a", "path": 7}, "path: expected str | null, got int"),
        ({"siteId": "site_a", "type": "click"}, "type: invalid enum value 'click'"),
        ({"siteId": "site_a", "utm": "x"}, "utm: expected object | null, got str"),
        ({"siteId": "site_a", "utm": {"source": 1}}, "utm.source: expected str | null, got int"),
        ({"siteId": "site_a", "path": "/\x00"}, "path: control characters are not allowed"),
        ({"siteId": "site_a", "path": "/\n"}, "path: control characters are not allowed"),
        ({"siteId": "site_a", "path": "/" + "x" * 2048}, "path: at most 2048 characters"),
        ({"siteId": "site_a", "path": "/" + "x" * 100_000}, "path: at most 2048 characters"),
        ({"siteId": "site_a", "batch": True}, "body: object missing required field events"),
        ({"siteId": "site_a", "batch": True, "events": []}, "events: expected array of length >= 1"),
        (
            {"siteId": "site_a", "batch": True, "events": [{}, {"path": []}]},
            "events[1].path: expected str | null, got array",
        ),
        (
            {"siteId": "site_a", "batch": True, "events": [{}, {"path": "/\x07"}]},
            "path: control characters are not allowed",
        ),
        ({"siteId": "site_a", "batch": 1, "events": [{}]}, "batch: expected bool, got int"),
    ],
)
async def test_a_body_that_is_wrong_is_400_naming_the_field_and_nothing_is_stored(
    api: Api, body: Any, names: str
) -> None:
    response = await api.track(body)
    assert (response.status_code, response.json()) == (400, {"error": names})
    assert await stored(api) == []


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "body",
    [{}, {"siteId": ""}, {"siteId": "  "}, {"siteId": None}, {"batch": True, "events": [{"siteId": "site_a"}, {}]}],
)
async def test_without_a_site_id_it_is_400(api: Api, body: Any) -> None:
    response = await api.track(body)
    assert (response.status_code, response.json()) == (400, {"error": "Site ID required"})
    assert await stored(api) == []


async def test_an_unknown_site_is_404_and_nothing_of_the_batch_is_stored(api: Api) -> None:
    response = await api.track({"batch": True, "siteId": "site_a", "events": [{}, {"siteId": "' OR 1=1"}]})
    assert (response.status_code, response.json()) == (404, {"error": "Invalid site ID"})
    assert await stored(api) == []


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "origin", ["https://example.com", "http://www.example.com", "https://EXAMPLE.com", "https://example.com:8443"]
)
async def test_the_sites_own_origin_and_its_www_twin_may_send(api: Api, origin: str) -> None:
    assert (await api.track({"siteId": "site_a"}, Origin=origin)).status_code == 200


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "https://example.com.evil.test", "https://sub.example.com", "", "http://[x"]
)
async def test_another_origin_is_403(api: Api, origin: str) -> None:
    response = await api.track({"siteId": "site_a"}, Origin=origin)
    assert (response.status_code, response.json()) == (403, {"error": "Origin not allowed"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert await stored(api) == []


async def test_over_1_mib_or_1000_signals_is_413(api: Api) -> None:
    response = await api.track(b'{"siteId":"site_a","x":"' + b"x" * 1_048_576 + b'"}')
    assert (response.status_code, response.json()) == (413, {"error": "body: at most 1048576 bytes"})
    events: list[dict[str, str]] = [{}] * 1001
    response = await api.track({"siteId": "site_a", "batch": True, "events": events})
    assert (response.status_code, response.json()) == (413, {"error": "events: at most 1000 signals in one request"})
    assert await stored(api) == []
    response = await api.track({"siteId": "site_a", "batch": True, "events": events[:1000]})
    assert response.json() == {"success": True, "count": 1000}


@pytest.mark.any_engine
async def test_too_many_signals_are_429(make_api: MakeApi) -> None:
    api = await make_api(Settings(track_max_signals_per_minute=3, too_many_delay_ms=0))
    await api.add_site("site_a")
    codes = [(await api.track({"siteId": "site_a"})).status_code for _ in range(3)]
    assert codes == [200, 200, 200]
    response = await api.track({"siteId": "site_a"})
    assert (response.status_code, response.json()) == (429, {"error": "Too many requests"})
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.headers["x-ratelimit-limit"] == "3"
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert int(response.headers["x-ratelimit-reset"]) > 1_700_000_000
    _, key = await api.add_key("write")
    assert (await api.track({"siteId": "site_a"}, token=key)).status_code == 200


async def test_a_minute_after_its_first_signal_a_caller_has_its_whole_allowance_again(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_api(Settings(track_max_signals_per_minute=2, too_many_delay_ms=0, commit_interval_ms=0))
    await api.add_site("site_a")
    for clock_s in (1_000.0, 1_060.0):
        monkeypatch.setattr(rate_limit, "monotonic", lambda clock_s=clock_s: clock_s)
        assert [(await api.track({"siteId": "site_a"})).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("events", "padding", "cost"), [(1, 0, 1), (4, 0, 4), (1, 1900, 2), (2, 6000, 6), (6, 2000, 6)]
)
async def test_a_request_costs_its_signals_or_its_kib_whichever_are_more(
    make_api: MakeApi, events: int, padding: int, cost: int
) -> None:
    api = await make_api(Settings(track_max_signals_per_minute=10, too_many_delay_ms=0))
    await api.add_site("site_a")
    body = {"siteId": "site_a", "batch": True, "events": [{}] * events, "x": "x" * padding}
    while (await api.track(body)).status_code == 200:
        pass
    assert await api.select("SELECT count() FROM signals") == str(10 // cost * events)
    # What was refused has cost nothing: smaller ones find all that is left.
    left = 10 % cost
    assert [(await api.track({"siteId": "site_a"})).status_code for _ in range(left + 1)] == [200] * left + [429]


async def test_a_bot_is_told_success_and_not_stored(api: Api) -> None:
    response = await api.track({"siteId": "site_a"}, User_Agent=GOOGLEBOT)
    assert (response.status_code, response.json()) == (200, {"success": True})
    response = await api.track({"siteId": "site_a", "batch": True, "events": [{}, {}]}, User_Agent=GOOGLEBOT)
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert await stored(api) == []
    metrics = (await api.get("/metrics")).text
    counted = next(line for line in metrics.splitlines() if line.startswith("pulsehouse_signals_refused_as_bot_total"))
    assert float(counted.split()[1]) >= 3


async def test_a_preflight_of_track(api: Api) -> None:
    response = await api.client.options("/api/track", headers={"Origin": "https://evil.test"})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert response.headers["access-control-allow-headers"] == "Content-Type"
    assert response.headers["access-control-max-age"] == "7200"


# The visitor.


async def test_a_visitor_is_address_and_user_agent_and_neither_is_stored(api: Api, make_api: MakeApi) -> None:
    elsewhere = await make_api(clock=api.clock, address="198.51.100.9")
    for worker, agent in ((api, BROWSER), (api, BROWSER), (api, BROWSER + " Other"), (elsewhere, BROWSER)):
        assert (await worker.track({"siteId": "site_a"}, User_Agent=agent)).status_code == 200
    assert (await api.realtime())["activeVisitors"] == 3
    everything = await api.select("SELECT * FROM signals") + await api.select("SELECT * FROM visitor_minutes")
    assert "203.0.113.7" not in everything
    assert "Firefox" not in everything


async def test_of_a_user_agent_the_first_1024_characters_count(api: Api) -> None:
    for user_agent in ("x" * 1024, "x" * 1024 + "y" * 5000, "x" * 1023 + "y"):
        assert (await api.track({"siteId": "site_a"}, User_Agent=user_agent)).status_code == 200
    assert (await api.realtime())["activeVisitors"] == 2


async def test_a_visitor_of_two_sites_has_two_ids(api: Api) -> None:
    await api.track({"siteId": "site_a"})
    await api.track({"siteId": "site_b"})
    assert await api.select("SELECT uniqExact(visitor_id) FROM signals") == "2"


async def test_the_country_is_that_of_the_address(make_api: MakeApi) -> None:
    api = await make_api(address="8.8.8.8")
    await api.add_site("site_a")
    await api.track({"siteId": "site_a"})
    assert await stored(api) == [row(country="US")]


async def test_forwarding_headers_are_believed_from_trusted_proxies_alone(make_api: MakeApi) -> None:
    plain = await make_api(address="10.0.0.1")
    await plain.add_site("site_a")
    await plain.track({"siteId": "site_a", "path": "/1"}, X_Forwarded_For="8.8.8.8")
    proxied = await make_api(Settings(trusted_proxies="10.0.0.0/8, 192.0.2.1"), address="10.0.0.1")
    await proxied.track({"siteId": "site_a", "path": "/2"}, X_Forwarded_For="8.8.8.8")
    await proxied.track({"siteId": "site_a", "path": "/3"}, X_Forwarded_For="8.8.8.8, 193.0.6.139, 10.1.1.1")
    await proxied.track({"siteId": "site_a", "path": "/4"}, X_Forwarded_For="8.8.8.8:5678")
    await proxied.track({"siteId": "site_a", "path": "/5"}, X_Forwarded_For="[2001:4860:4860::8888]:80")
    pages = [
        row("/1"),
        row("/2", country="US"),
        row("/3", country="NL"),
        row("/4", country="US"),
        row("/5", country="US"),
    ]
    assert await stored(plain) == pages


@pytest.mark.any_engine
@pytest.mark.parametrize("peer", ["::ffff:127.0.0.1", "::ffff:10.1.2.3", "127.0.0.1"])
async def test_a_trusted_ipv4_proxy_is_one_on_an_ipv6_socket_too(make_api: MakeApi, peer: str) -> None:
    api = await make_api(Settings(trusted_proxies="127.0.0.1,10.0.0.0/8"), address=peer)
    await api.add_site("site_a")
    await api.track({"siteId": "site_a"}, X_Forwarded_For="8.8.8.8, ::ffff:10.9.9.9")
    assert await stored(api) == [row(country="US")]


@pytest.mark.any_engine
@pytest.mark.parametrize("forwarded", ["nonsense", "a:b", "[::", "1.2.3.4.5:6", "::1%eth0", "x" * 5000])
async def test_a_forwarded_address_that_is_none_does_no_harm(make_api: MakeApi, forwarded: str) -> None:
    api = await make_api(Settings(trusted_proxies="10.0.0.1"), address="10.0.0.1")
    await api.add_site("site_a")
    assert (await api.track({"siteId": "site_a"}, X_Forwarded_For=forwarded)).status_code == 200


# Server-side tracking, with a key.


async def test_with_a_write_key_the_caller_names_the_visitor(api: Api) -> None:
    events = [
        {"path": "/1", "ip": "8.8.8.8", "userAgent": BROWSER},
        {"path": "/2", "ip": "8.8.8.8", "userAgent": BROWSER},
        {"path": "/3", "visitorId": "ann", "country": "DE"},
        {"path": "/4", "visitorId": "bob"},
        {"path": "/5", "ip": "::ffff:8.8.8.8", "userAgent": BROWSER},
    ]
    body = {"siteId": "site_a", "batch": True, "events": events}
    response = await api.track(body, token=api.write, User_Agent="python-requests/2.32")
    assert (response.status_code, response.json()) == (200, {"success": True, "count": 5})
    countries = ["US", "US", "DE", "", "US"]
    assert await stored(api) == [row(f"/{i + 1}", country=country) for i, country in enumerate(countries)]
    assert (await api.realtime())["activeVisitors"] == 3


async def test_without_a_key_these_fields_are_ignored_whatever_they_are(api: Api) -> None:
    signal = {"ip": 7, "userAgent": GOOGLEBOT, "visitorId": {}, "country": "nowhere", "timestamp": "long ago"}
    assert (await api.track({"siteId": "site_a", **signal})).status_code == 200
    assert await stored(api) == [row()]


async def test_a_bot_among_the_signals_of_a_key_is_left_out(api: Api) -> None:
    events = [{"path": "/1", "userAgent": BROWSER}, {"path": "/2", "userAgent": GOOGLEBOT}]
    response = await api.track({"siteId": "site_a", "batch": True, "events": events}, token=api.write)
    assert response.json() == {"success": True, "count": 1}
    assert await stored(api) == [row("/1")]
    response = await api.track({"siteId": "site_a", "batch": True, "events": events[1:]}, token=api.write)
    assert response.json() == {"success": True, "count": 0}


@pytest.mark.parametrize("seconds", [-300, 0, 5])
async def test_a_timestamp_within_its_bounds_is_taken(api: Api, seconds: int) -> None:
    timestamp = api.clock() + timedelta(seconds=seconds)
    response = await api.track({"siteId": "site_a", "timestamp": timestamp.isoformat()}, token=api.write)
    assert response.status_code == 200
    assert await api.select("SELECT timestamp FROM signals") == f"{timestamp:%Y-%m-%d %H:%M:%S.%f}"


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("signal", "names"),
    [
        ({"timestamp": -301}, "timestamp: at most 5 minutes old"),
        ({"timestamp": 6}, "timestamp: at most 5 seconds in the future"),
        ({"timestamp": "yesterday"}, "events[1].timestamp: invalid RFC3339 encoded datetime"),
        ({"timestamp": "2026-11-23T10:00:00"}, "events[1].timestamp: expected datetime with a timezone component"),
        ({"country": "Germany"}, "events[1].country: expected str of length <= 2"),
        ({"country": "US\n"}, "events[1].country: expected str of length <= 2"),
        ({"country": "us"}, "events[1].country: expected str matching regex '^[A-Z]{2}$'"),
        ({"ip": 7}, "events[1].ip: expected str | null, got int"),
        ({"ip": 10**400}, "events[1].ip: number out of range"),
        ({"visitorId": ""}, "events[1].visitorId: expected str of length >= 1"),
    ],
)
async def test_a_wrong_field_of_a_key_is_400(api: Api, signal: dict[str, Any], names: str) -> None:
    if isinstance(signal.get("timestamp"), int):
        signal = {"timestamp": (api.clock() + timedelta(seconds=signal["timestamp"])).isoformat()}
    response = await api.track({"siteId": "site_a", "batch": True, "events": [{}, signal]}, token=api.write)
    assert (response.status_code, response.json()) == (400, {"error": names})
    assert await stored(api) == []


async def test_keys_that_may_not_write(api: Api) -> None:
    await api.add_site("foreign", tenant="rival")
    _, bound = await api.add_key("write", site_id="site_b")
    cases = [
        ("site_a", api.read, 403, "Access denied"),
        ("site_a", "ph_live_unknown", 401, "Invalid or expired token"),
        ("site_a", bound, 404, "Invalid site ID"),
        ("foreign", api.write, 404, "Invalid site ID"),
        ("unknown", api.write, 404, "Invalid site ID"),
    ]
    for site_id, token, status, error in cases:
        response = await api.track({"siteId": site_id}, token=token)
        assert (response.status_code, response.json()) == (status, {"error": error})
    assert (await api.track({"siteId": "site_b"}, token=bound)).status_code == 200
    assert (await api.track({"siteId": "site_a"}, token=api.admin)).status_code == 200


async def test_around_midnight_a_row_carries_the_previous_id_too(api: Api) -> None:
    for time, days in (("23:59:59", -1), ("00:00:00", 1), ("00:05:00", 0)):
        api.clock.set(time, days)
        await api.track({"siteId": "site_a"})
    rows = (await api.select("SELECT visitor_id, previous_visitor_id FROM signals ORDER BY timestamp")).splitlines()
    ids = [tuple(line.split("\t")) for line in rows]
    assert ids[0][1] == ids[2][1] == "0"
    assert ids[1] == (ids[2][0], ids[0][0])
    assert ids[0][0] != ids[1][0]


async def test_every_500_is_logged(api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for number, defect in enumerate([RuntimeError("ours"), InternalServerException("of the framework")], start=1):
        monkeypatch.setattr(api.store.intake, "make_rows", AsyncMock(side_effect=defect))
        response = await api.track({"siteId": "site_a"})
        assert (response.status_code, response.json()) == (500, {"error": "Internal server error"})
        assert [record.message for record in caplog.records if record.exc_info] == ["unexpected error"] * number


# Work is bounded before it is done.


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("events", "error"),
    [
        ("[{}" + ",{}" * 1000 + "]", "events: at most 1000 signals in one request"),
        ("[7" + ",{}" * 1001 + "]", "events: at most 1000 signals in one request"),
        ("[{}" + ",{}" * 349_000 + "]", "events: at most 16000 JSON objects in one request"),
        ('[{"x":[7' + ",{}" * 16_000 + "]}]", "events: at most 16000 JSON objects in one request"),
    ],
)
async def test_the_signals_of_a_batch_are_counted_before_they_are_decoded(api: Api, events: str, error: str) -> None:
    response = await api.track(b'{"siteId":"site_a","batch":true,"events":%s}' % events.encode())
    assert (response.status_code, response.json()) == (413, {"error": error})


async def test_a_signal_may_bring_objects_of_its_own(api: Api) -> None:
    event = {"path": "/", "device": [{}] * 1100, "utm": {"source": "{" * 1000}}
    response = await api.track({"siteId": "site_a", "batch": True, "events": [event, {}]})
    assert (response.status_code, response.json()) == (200, {"success": True, "count": 2})


async def test_the_bot_filter_looks_at_256_characters(api: Api) -> None:
    for padding, stored_signals in ((256, 1), (245, 1)):
        response = await api.track({"siteId": "site_a"}, User_Agent="x" * padding + " Googlebot/2.1")
        assert response.status_code == 200
        assert len(await stored(api)) == stored_signals


@pytest.mark.any_engine
async def test_a_long_batch_takes_turns_with_other_requests(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the commit: all that the batch ever waits for is its turn, which is over after every signal.
    monkeypatch.setattr(api.store.inserts, "commit", AsyncMock())
    monkeypatch.setattr(intake, "TURN_S", 0)
    events: list[dict[str, str]] = [{}] * 200
    batch = asyncio.create_task(api.track({"siteId": "site_a", "batch": True, "events": events}, token=api.write))
    polls = 0
    while not batch.done():
        await asyncio.sleep(0)
        assert (await api.get("/health")).status_code == 200
        polls += 1
    assert (await batch).json() == {"success": True, "count": 200}
    assert polls > 3


@pytest.mark.any_engine
@pytest.mark.parametrize("referrer", ["https://example.com/a", "www.example.com", "http://EXAMPLE.com:8080/?q"])
async def test_a_link_within_the_site_is_no_referrer(api: Api, referrer: str) -> None:
    events = [{"referrer": referrer}, {"siteId": "site_b", "path": "/b", "referrer": referrer}]
    await api.track({"siteId": "site_a", "batch": True, "events": events})
    host = "www.example.com" if "www" in referrer else "example.com"
    assert await stored(api) == [row(), row("/b", site_id="site_b", referrer=host)]


async def test_a_body_beyond_the_rate_limit_is_refused_before_it_is_looked_into(make_api: MakeApi) -> None:
    api = await make_api(Settings(track_max_signals_per_minute=3, too_many_delay_ms=0, commit_interval_ms=0))
    await api.add_site("site_a")
    assert (await api.track(b"x" * 5_000)).status_code == 429  # not 400: nobody has seen that it is no JSON
    assert (await api.track(b"x" * 3_000)).status_code == 400
    assert (await api.track({"siteId": "site_a"})).status_code == 200  # what was refused has cost nothing
