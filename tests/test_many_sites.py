"""POST /api/realtime/batch and GET /api/realtime/overview: many sites in one call, with the numbers of single polls."""

import asyncio
import gzip
import json
import sys
from typing import Any

import httpx
import pytest

from app.domain.errors import Unavailable
from app.domain.sites import site_key
from app.store.engine import EngineError, Parameters
from app.store.overview import Overview, Overviews, Reach
from app.store.statements import Statement
from tests.conftest import Api, Signals
from tests.test_reads import Database, answers_of, hold, turn
from tests.test_realtime import stamp

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DENIED = (403, {"error": "Access denied"})


async def batch(api: Api, body: Any, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or api.read}"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await api.client.post("/api/realtime/batch", content=content, headers=headers)


async def test_a_batch_gives_the_bytes_of_single_polls_in_the_order_asked_by_one_statement(
    api: Api, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signals((3, "ann", "/café"), (1, "ann", "/a"), (1, "bob", "/"), country="DE")
    await signals((2, "eve", "/"), site_id="site_b")
    single = [(await api.get(f"/api/realtime?siteId={site}", api.read)).content for site in ("site_b", "site_a")]
    asked = []
    fetch = api.store.engine.fetch

    async def count(statement: Statement, parameters: Parameters | None = None) -> bytes:
        asked.append(statement.name)
        return await fetch(statement, parameters)

    monkeypatch.setattr(api.store.engine, "fetch", count)
    response = await batch(api, {"siteIds": ["site_b", "site_a", "site_b"]})
    assert response.content == b'{"answers":{"site_b":%b,"site_a":%b}}' % tuple(single)
    assert asked.count("realtime") == 1
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"siteIds": []}, 400, "Site ID required"),
        ({}, 400, "Site ID required"),
        ({"siteIds": ["site_a", " "]}, 400, "Site ID required"),
        ({"siteIds": "site_a"}, 400, "siteIds: expected array, got str"),
        ({"siteIds": None}, 400, "siteIds: expected array, got null"),
        ({"siteIds": ["site_a", 7]}, 400, "siteIds[1]: expected str, got int"),
        ([], 400, "body: expected object, got array"),
        (b"\xff", 400, "body: not UTF-8"),
        (b"{", 400, "body: not JSON"),
        ({"siteIds": ["site_a"] * 1_001}, 413, "siteIds: at most 1000 sites in one request"),
        (b" " * 1_048_577, 413, "body: at most 1048576 bytes"),
        ({"siteIds": ["site_a", "site_rival"]}, 403, "Access denied"),
        ({"siteIds": ["site_a", "unknown"]}, 403, "Access denied"),
    ],
)
async def test_a_batch_is_answered_whole_or_refused_whole(api: Api, body: Any, status: int, error: str) -> None:
    await api.add_site("site_rival", tenant="rival")
    response = await batch(api, body)
    assert (response.status_code, response.json()) == (status, {"error": error})


async def test_a_thousand_sites_fit_into_a_batch(api: Api) -> None:
    assert (await batch(api, {"siteIds": ["site_a"] * 1_000})).status_code == 200


async def test_the_order_of_checks_is_token_body_access(api: Api) -> None:
    for body in ({}, {"siteIds": ["site_a"]}):
        assert (await batch(api, body, token="ph_live_x")).status_code == 401
    assert (await batch(api, {}, token=api.write)).status_code == 400
    assert (await batch(api, {"siteIds": ["site_a"]}, token=api.write)).status_code == 403
    assert (await api.get("/api/realtime/batch", api.read)).status_code == 405


async def test_a_batch_makes_a_poll_of_another_tenant_wait_for_one_statement_at_most() -> None:
    database = Database()
    answers = answers_of(database, max_sites=1_000)
    running = await hold(database, answers, "first")
    batch = [asyncio.create_task(answers.of("agency", f"site_{n}")) for n in range(1_500)]
    await turn()
    poll = asyncio.create_task(answers.of("acme", "small"))
    await turn()
    database.let.set()
    await asyncio.gather(running, poll, *batch)
    assert "small" in database.asked[1]


async def overview(api: Api, query: str = "", token: str | None = None) -> tuple[int, Any]:
    response = await api.get(f"/api/realtime/overview{query}", token or api.read)
    return response.status_code, response.json()


async def test_an_overview_shows_every_site_of_the_token_busiest_first(api: Api, signals: Signals) -> None:
    await api.add_site("site_c")
    await api.add_site("site_rival", tenant="rival")
    _, rival = await api.add_key("write", tenant="rival")
    await api.track({"siteId": "site_rival", "visitorId": "zoe"}, token=rival)
    await signals((3, "ann", "/"), (1, "ann", "/a"), (1, "bob", "/"), (0, "eve", "/", "event"))
    await signals((4, "ann", "/"), site_id="site_c")
    site = {"domain": "example.com", "name": "example.com"}
    assert await overview(api) == (
        200,
        {
            "sites": [
                {
                    "siteId": "site_a",
                    **site,
                    "activeVisitors": 3,
                    "pageviewsLast5Min": 3,
                    "visitorsPerMinute": [0, 1, 0, 2, 1],
                },
                {
                    "siteId": "site_c",
                    **site,
                    "activeVisitors": 1,
                    "pageviewsLast5Min": 1,
                    "visitorsPerMinute": [1, 0, 0, 0, 0],
                },
                {
                    "siteId": "site_b",
                    "domain": "example.org",
                    "name": "example.org",
                    "activeVisitors": 0,
                    "pageviewsLast5Min": 0,
                    "visitorsPerMinute": [0, 0, 0, 0, 0],
                },
            ],
            "total": {"sites": 3, "sitesWithVisitors": 2, "activeVisitors": 4, "pageviewsLast5Min": 4},
            "timestamp": stamp(api),
        },
    )
    for shown in (await overview(api))[1]["sites"]:
        answer = await api.realtime(shown["siteId"])
        assert [one["visitors"] for one in answer["visitorsPerMinute"]] == shown["visitorsPerMinute"]
        assert {name: answer[name] for name in ("activeVisitors", "pageviewsLast5Min")}.items() <= shown.items()


async def test_a_visitor_active_over_midnight_is_one_in_the_overview(api: Api) -> None:
    for time, days in (("23:59:00", 0), ("00:01:00", 1)):
        api.clock.set(time, days=days)
        await api.track({"siteId": "site_a"})
    _, answer = await overview(api)
    assert (answer["total"]["activeVisitors"], answer["sites"][0]["visitorsPerMinute"]) == (1, [0, 0, 1, 0, 1])


async def shown_of_site_a(api: Api) -> tuple[int, int, list[int]]:
    """What the overview shows of the first site, which is what the realtime answer says of it."""
    _, answer = await overview(api)
    shown = answer["sites"][0]
    told = await api.realtime(shown["siteId"])
    assert [one["visitors"] for one in told["visitorsPerMinute"]] == shown["visitorsPerMinute"]
    assert {name: told[name] for name in ("activeVisitors", "pageviewsLast5Min")}.items() <= shown.items()
    return shown["activeVisitors"], shown["pageviewsLast5Min"], shown["visitorsPerMinute"]


async def test_an_overview_counts_from_four_minutes_ago_to_five_seconds_ahead(api: Api, signals: Signals) -> None:
    api.clock.set("12:00:55", days=-1)
    await signals((5, "old", "/"), (4, "ann", "/"), (0, "bob", "/"), (-5 / 60, "eve", "/"))
    assert await shown_of_site_a(api) == (3, 3, [1, 0, 0, 0, 2])
    api.clock.advance(-25)
    assert await shown_of_site_a(api) == (2, 2, [1, 0, 0, 0, 1])


async def test_a_visitor_whose_clock_is_past_midnight_already_is_one_in_the_overview(
    api: Api, signals: Signals
) -> None:
    api.clock.set("23:59:57", days=-1)
    await signals((0, "ann", "/"), (-4 / 60, "ann", "/"))
    assert await shown_of_site_a(api) == (1, 2, [0, 0, 0, 0, 1])


async def test_a_visitor_on_both_sides_of_00_05_is_one_in_the_overview(api: Api) -> None:
    for time, days in (("00:04:30", 0), ("00:05:30", 0)):
        api.clock.set(time, days=days)
        await api.track({"siteId": "site_a"})
    assert await shown_of_site_a(api) == (1, 2, [0, 0, 0, 1, 1])


async def test_a_limit_cuts_the_sites_and_not_the_total(api: Api, signals: Signals) -> None:
    await signals((1, "ann", "/"), site_id="site_b")
    status, answer = await overview(api, "?limit=1")
    assert (status, [site["siteId"] for site in answer["sites"]]) == (200, ["site_b"])
    assert answer["total"]["sites"] == 2


@pytest.mark.any_engine
@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "", "1.0", "9" * 5000, "%D9%A1", "1&limit=2"])
async def test_a_limit_is_a_whole_number_within_its_bounds(api: Api, limit: str) -> None:
    assert await overview(api, f"?limit={limit}") == (400, {"error": "limit: use a whole number from 1 to 1000"})


async def test_a_bound_key_sees_its_site_alone_and_a_write_key_none(api: Api) -> None:
    _, bound = await api.add_key("read", site_id="site_b")
    _, foreign = await api.add_key("read", tenant="rival", site_id="site_b")
    _, answer = await overview(api, token=bound)
    assert [site["siteId"] for site in answer["sites"]] == ["site_b"]
    assert (await overview(api, token=foreign))[1]["total"]["sites"] == 0
    assert await overview(api, token=api.write) == DENIED


async def test_overviews_asked_for_while_one_runs_share_the_next_one(api: Api) -> None:
    let, asked = asyncio.Event(), []

    class Slow:
        async def fetch(self, _statement: Statement, parameters: Parameters | None = None) -> bytes:
            (key,) = (parameters or {})["sites"]
            asked.append(key)
            await let.wait()
            if key == site_key("site_broken"):
                raise EngineError(None)
            return b'{"data":[["%d",1,1,[0,0,0,0,1]]],"rows":1}' % key

    engine: Any = Slow()
    overviews = Overviews(lambda ids: [(engine, ids)], {"overview": Statement("overview", "")}, api.clock, timeout_s=30)

    def ask(tenant: str) -> asyncio.Task[Overview]:
        return asyncio.create_task(overviews.of(Reach(tenant, ""), [f"site_{tenant}"]))

    tasks = [ask("acme")]
    await turn()
    tasks += [ask(tenant) for tenant in ("broken", "acme", "broken", "acme")]
    await turn()
    let.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert asked == [site_key(f"site_{tenant}") for tenant in ("acme", "broken", "acme")]
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, True, False, True, False]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),  # a browser
        ("gzip;q=1.0, ZSTD;q=0.9", "gzip"),
        ("zstd;q=0, gzip;q=0.1", "gzip"),
        ("deflate, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0, *", None),
        ("gzip;q=0.000", None),
        ("identity", None),
        ("", None),
        ("br;q=x,;", None),
        ("zstd;q=x", "zstd"),
    ],
)
async def test_long_answers_are_compressed_as_the_caller_likes_it(
    api: Api, accepted: str, encoding: str | None
) -> None:
    for number in range(20):
        await api.store.tenants.add_site(f"site_{number}", "acme", ["example.com"], "example.com")
    await api.store.refresh()
    unpack: dict[str | None, Any] = {"gzip": gzip.decompress, "zstd": zstd.decompress, None: bytes}
    for path in ("/api/sites", "/api/realtime/overview", "/api/realtime/batch"):
        body = json.dumps({"siteIds": [f"site_{n}" for n in range(20)]}) if path.endswith("batch") else None
        headers = {"Authorization": f"Bearer {api.read}", "Accept-Encoding": accepted}
        request = api.client.build_request("POST" if body else "GET", path, content=body, headers=headers)
        response = await api.client.send(request, stream=True)
        raw = b"".join([part async for part in response.aiter_raw()])
        assert response.headers.get("content-encoding") == encoding
        assert json.loads(unpack[encoding](raw))
        assert response.headers["content-length"] == str(len(raw))
        assert response.headers["vary"] == "Accept-Encoding"


async def test_a_single_answer_and_a_short_one_stay_as_they_are(api: Api) -> None:
    for path in ("/api/realtime?siteId=site_a", "/api/sites"):
        response = await api.get(path, api.read, **{"Accept-Encoding": "gzip, zstd"})
        assert "content-encoding" not in response.headers
