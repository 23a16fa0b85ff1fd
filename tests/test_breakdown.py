"""GET /api/realtime/breakdown: each row of the contract, on whole answers."""

from typing import Any

import pytest

from tests.conftest import Api, Signals

pytestmark = pytest.mark.cluster

BY = "by: use one of page, country, referrer, utmSource, utmMedium, utmCampaign"


async def breakdown(api: Api, query: str, site_id: str = "site_a") -> dict[str, Any]:
    response = await api.get(f"/api/realtime/breakdown?siteId={site_id}&{query}", api.read)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def shares(api: Api, query: str) -> list[tuple[Any, ...]]:
    return [tuple(share.values()) for share in (await breakdown(api, query))["breakdown"]]


async def track(api: Api, visitor: str, **signal: Any) -> None:
    """A signal of a visitor, a second after the one before."""
    api.clock.advance(1)
    response = await api.track({"siteId": "site_a", "visitorId": visitor, **signal}, token=api.write)
    assert response.status_code == 200, response.text


async def test_a_site_without_visitors_has_no_shares(api: Api) -> None:
    timestamp = f"{api.clock():%Y-%m-%dT%H:%M:%SZ}"
    assert await breakdown(api, "by=page") == {
        "by": "page",
        "activeVisitors": 0,
        "pageviews": 0,
        "breakdown": [],
        "timestamp": timestamp,
    }


async def test_page_and_country_are_those_of_the_latest_signal(api: Api) -> None:
    await track(api, "ann", path="/", country="DE")
    await track(api, "ann", path="/docs", country="US", type="heartbeat")
    await track(api, "bob", path="/docs")
    assert await breakdown(api, "by=country") == {
        "by": "country",
        "activeVisitors": 2,
        "pageviews": 2,
        "breakdown": [
            {"value": "US", "visitors": 1, "pageviews": 1},
            {"value": None, "visitors": 1, "pageviews": 1},
        ],
        "timestamp": f"{api.clock():%Y-%m-%dT%H:%M:%SZ}",
    }
    assert await shares(api, "by=page") == [("/docs", 2, 2)]


async def test_the_source_is_the_latest_that_was_named_and_all_four_are_from_that_one_signal(api: Api) -> None:
    await track(api, "ann", referrer="https://google.com/", utm={"source": "ads", "campaign": "spring"})
    await track(api, "ann", utm={"medium": "mail"})
    await track(api, "ann", path="/next", referrer="https://www.example.com/")  # the site's own host is none
    await track(api, "bob")
    names = ("referrer", "utmSource", "utmMedium", "utmCampaign")
    assert {name: await shares(api, f"by={name}") for name in names} == {
        "referrer": [(None, 2, 4)],
        "utmSource": [(None, 2, 4)],
        "utmMedium": [("mail", 1, 3), (None, 1, 1)],
        "utmCampaign": [(None, 2, 4)],
    }


async def test_shares_are_ordered_by_visitors_then_value_with_none_last_and_cut_at_one_hundred(api: Api) -> None:
    events = [{"visitorId": f"v{n}", "referrer": f"{n:03}.example"} for n in range(105)]
    events += [{"visitorId": "w", "referrer": "104.example"}, {"visitorId": "x"}]
    assert (await api.track({"siteId": "site_a", "events": events}, token=api.write)).status_code == 200
    answer = await breakdown(api, "by=referrer")
    values = [share["value"] for share in answer["breakdown"]]
    assert (answer["activeVisitors"], answer["pageviews"]) == (107, 107)
    assert values == ["104.example", *[f"{n:03}.example" for n in range(99)]]
    few = await shares(api, "by=referrer&referrer=00*")
    assert few == [(f"00{n}.example", 1, 1) for n in range(10)]
    await track(api, "y", referrer="zzz.example")
    api.clock.advance(1)
    assert await shares(api, "by=referrer&page=/&country=") == await shares(api, "by=referrer")


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", {"ann", "bob", "eve"}),
        ("page=/blog/a", {"ann"}),
        ("page=/blog/*", {"ann", "bob"}),
        ("page=/blog", set()),
        ("page=*", {"ann", "bob", "eve"}),
        ("country=DE", {"ann", "eve"}),
        ("country=", {"bob"}),
        ("country=D*", {"ann", "eve"}),
        ("referrer=", {"eve"}),
        ("referrer=*", {"ann", "bob"}),
        ("referrer=google.com", {"ann"}),
        ("utmSource=mail", {"bob"}),
        ("page=/blog/*&country=DE", {"ann"}),
        ("page=/blog/*&country=DE&utmSource=mail", set()),
        ("page=%2Fblog%2F%27+OR+1%3D1+--", set()),
        ("page=%5C%27%22%09%0A%00%FF", set()),
        ("page=/blog/%25", set()),
        ("unknown=x", {"ann", "bob", "eve"}),
    ],
)
async def test_a_filter_keeps_the_visitors_whose_value_matches(api: Api, query: str, kept: set[str]) -> None:
    await track(api, "ann", path="/blog/a", country="DE", referrer="google.com", utm={"campaign": "ann"})
    await track(api, "bob", path="/blog/b", referrer="google.de", utm={"source": "mail", "campaign": "bob"})
    await track(api, "eve", path="/pricing", country="DE")
    found = [("eve" if value is None else value) for value, *_ in await shares(api, f"by=utmCampaign&{query}")]
    assert set(found) == kept
    answer = await breakdown(api, f"by=page&{query}")
    assert answer["activeVisitors"] == answer["pageviews"] == len(kept)


async def test_sites_do_not_see_each_other(api: Api, signals: Signals) -> None:
    await signals((1, "ann", "/a"), site_id="site_a")
    await signals((1, "ann", "/b"), site_id="site_b")
    assert await shares(api, "by=page") == [("/a", 1, 1)]
    assert (await breakdown(api, "by=page", "site_b"))["breakdown"] == [{"value": "/b", "visitors": 1, "pageviews": 1}]


async def test_a_visitor_active_across_midnight_has_one_value(api: Api) -> None:
    api.clock.set("23:58:10", days=-1)
    await track(api, "ann", path="/", referrer="google.com")
    api.clock.set("00:01:10", days=1)
    await track(api, "ann", path="/docs")
    assert await shares(api, "by=page") == [("/docs", 1, 2)]
    assert await shares(api, "by=referrer") == [("google.com", 1, 2)]


async def test_signals_further_ahead_than_the_clocks_may_differ_count_nowhere(api: Api, signals: Signals) -> None:
    await signals((0, "ann", "/now"))
    api.clock.advance(40)  # 10 s into the next minute
    await signals((0, "bob", "/ahead"))
    api.clock.advance(-40)
    answer = await api.realtime()
    assert (answer["activeVisitors"], answer["pageviewsLast5Min"]) == (1, 1)
    assert answer["pageBreakdown"] == {"/now": 1}
    assert [pageview["page"] for pageview in answer["recentPageviews"]] == ["/now"]
    assert await shares(api, "by=page") == [("/now", 1, 1)]
    response = await api.get("/api/realtime/history?siteId=site_a&minutes=1", api.read)
    assert {response.json()["points"][0][name] for name in ("activeVisitors", "visitors", "pageviews")} == {1}


# Order of checks, status codes and error bodies.


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "Site ID required"),
        ("?by=page", "Site ID required"),
        ("?siteId=+&by=nonsense", "Site ID required"),
        ("?siteId=unknown", BY),
        ("?siteId=unknown&by=", BY),
        ("?siteId=site_a&by=Page", BY),
        ("?siteId=site_a&by=page&by=page", BY),
        ("?siteId=site_a&by=page&country=DE&country=US", "country: given more than once"),
    ],
)
async def test_a_parameter_that_is_not_what_it_must_be_is_400_before_the_site_is_looked_at(
    api: Api, query: str, error: str
) -> None:
    response = await api.get("/api/realtime/breakdown" + query, api.read)
    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.any_engine
@pytest.mark.parametrize("path", ["/api/realtime/breakdown?by=page", "/api/realtime/history?minutes=5"])
async def test_the_checks_and_headers_are_those_of_a_poll(api: Api, path: str) -> None:
    await api.add_site("foreign", tenant="rival", domain="rival.example")
    refused = [
        (await api.client.post(path), 405, "Method not allowed"),
        (await api.get(path), 401, "Invalid or expired token"),
        (await api.get(path + "&siteId=unknown", api.read), 403, "Access denied"),
        (await api.get(path + "&siteId=foreign", api.read), 403, "Access denied"),
        (await api.get(path + "&siteId=site_a", api.write), 403, "Access denied"),
    ]
    for response, status, error in refused:
        assert (response.status_code, response.json()) == (status, {"error": error})
    answered = await api.get(path + "&siteId=site_a", api.admin)
    assert answered.status_code == 200
    for response in (answered, *[response for response, *_ in refused]):
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cache-control"] == "no-cache"
    preflight = await api.client.options(path)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "Authorization")
