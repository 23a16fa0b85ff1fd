"""A public key reads the numbers of one site, as JSON and as a badge, and nothing else in any way."""

import json
from typing import Any
from xml.etree import ElementTree

import httpx
import msgspec
import pytest

from app.settings import Settings
from app.store.engine import EngineError
from app.wiring import create_handlers, create_work
from tests.conftest import UNHURRIED, Api, MakeApi, Signals
from tests.kit.endpoints import operations_of
from tests.kit.user_agents import BROWSER
from tests.test_unavailable import break_reads

DENIED = (403, {"error": "Access denied"})
NUMBERS = "/api/realtime/numbers?siteId=site_a"
UNKNOWN = "visitors now: unknown"


@pytest.fixture
async def token(api: Api) -> str:
    """A public key of site_a."""
    return (await api.add_key("public", site_id="site_a"))[1]


async def ask(api: Api, path: str, token: str | None = None) -> tuple[int, Any]:
    response = await api.get(path, token)
    return response.status_code, response.json()


async def badge(api: Api, query: str) -> httpx.Response:
    response = await api.get(f"/badge.svg?{query}")
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    return response


def said(response: httpx.Response) -> tuple[int, str | None]:
    """The status of a badge, and what it says to who cannot see it."""
    return response.status_code, ElementTree.fromstring(response.text).get("aria-label")


async def test_a_public_key_reads_the_numbers_of_the_realtime_answer(api: Api, signals: Signals, token: str) -> None:
    await signals((3, "ann", "/secret"), (1, "ann", "/pricing"), (1, "bob", "/"), country="DE")
    whole = await api.realtime()
    numbers = {name: whole[name] for name in ("activeVisitors", "pageviewsLast5Min", "visitorsPerMinute", "timestamp")}
    assert numbers["activeVisitors"] == 2
    assert token.startswith("ph_public_")
    for key in (token, api.read, api.admin):
        response = await api.get(NUMBERS, key)
        assert response.content == json.dumps(numbers, separators=(",", ":")).encode()
        assert response.headers["cache-control"] == "no-cache"


CALLS: dict[str, tuple[Any, str]] = {
    "GET /api/realtime": (None, "siteId=site_a"),
    "POST /api/realtime/batch": ({"siteIds": ["site_a"]}, ""),
    "GET /api/realtime/overview": (None, ""),
    "GET /api/realtime/breakdown": (None, "siteId=site_a&by=page"),
    "GET /api/realtime/history": (None, "siteId=site_a"),
    "GET /api/realtime/stream": (None, "siteId=site_a"),
    "POST /api/track": ({"siteId": "site_a"}, ""),
    "GET /api/sites": (None, ""),
    "POST /api/sites": ({"domains": ["a.example"]}, ""),
    "GET /api/sites/{id}": (None, ""),
    "PATCH /api/sites/{id}": ({"name": "x"}, ""),
    "DELETE /api/sites/{id}": (None, ""),
    "GET /api/keys": (None, ""),
    "POST /api/keys": ({"scope": "public", "siteId": "site_a"}, ""),
    "DELETE /api/keys/{id}": (None, ""),
}
"""Every endpoint that a public key may not use, with a body and a query that another key would be answered to."""


@pytest.mark.any_engine
async def test_every_other_endpoint_refuses_a_public_key(api: Api, token: str) -> None:
    handlers = create_handlers(Settings(), api.store, create_work(Settings(), api.store))
    served = {name for name in operations_of(handlers) if " /api/" in name and not name.startswith("OPTIONS ")}
    assert served == CALLS.keys() | {"GET /api/realtime/numbers", "GET /api/track.gif"}  # the latter takes no token
    for name, (body, query) in CALLS.items():
        method, path = name.split()
        url = f"{path.format(id='site_a')}?{query}"
        headers = {"Authorization": f"Bearer {token}", "User-Agent": BROWSER}
        response = await api.client.request(method, url, json=body, headers=headers)
        assert (name, response.status_code, response.json()) == (name, *DENIED)


@pytest.mark.any_engine
async def test_it_reaches_the_site_that_it_is_bound_to_and_no_other(api: Api, token: str) -> None:
    await api.add_site("site_rival", tenant="rival")
    for site_id in ("site_b", "site_rival", "unknown", "SITE_A"):
        assert await ask(api, f"/api/realtime/numbers?siteId={site_id}", token) == DENIED
    # The service makes no such keys; SQL can.
    _, of_all = await api.add_key("public")
    _, of_foreign = await api.add_key("public", site_id="site_rival")
    _, writer = await api.add_key("write")
    for key in (of_all, of_foreign, writer):
        assert await ask(api, NUMBERS, key) == DENIED
    assert await ask(api, "/api/realtime/numbers", token) == (400, {"error": "Site ID required"})
    assert (await ask(api, NUMBERS))[0] == 401


@pytest.mark.any_engine
async def test_it_is_limited_and_revoked_as_any_key(make_api: MakeApi) -> None:
    api = await make_api(msgspec.structs.replace(UNHURRIED, key_max_requests_per_minute=2, too_many_delay_ms=0))
    await api.add_site("site_a")
    key_id, token = await api.add_key("public", site_id="site_a")
    query = f"siteId=site_a&key={token}"
    assert (await ask(api, NUMBERS, token))[0] == 200
    assert said(await badge(api, query)) == (200, "visitors now: 0")
    limited = await badge(api, query)
    assert said(limited) == (429, UNKNOWN)
    assert {"retry-after", "x-ratelimit-limit"} <= limited.headers.keys()
    assert (await ask(api, NUMBERS, token))[0] == 429
    await api.store.administration.revoke_key("acme", key_id)
    assert (await ask(api, NUMBERS, token))[0] == 401
    assert said(await badge(api, query)) == (401, UNKNOWN)


async def test_a_badge_has_the_number_of_the_instant_that_it_is_asked_for(
    api: Api, signals: Signals, token: str
) -> None:
    for number in range(1, 4):
        await signals((1, f"visitor {number}", "/"))
        assert said(await badge(api, f"siteId=site_a&key={token}")) == (200, f"visitors now: {number}")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("key=PUBLIC", 400),
        ("siteId=site_a&siteId=site_a&key=PUBLIC", 400),
        ("siteId=site_a", 401),
        ("siteId=site_a&key=x", 401),
        ("siteId=site_a&key=ph_public_x", 401),
        ("siteId=site_a&key=PUBLIC&key=PUBLIC", 401),
        ("siteId=site_b&key=PUBLIC", 403),
        ("siteId=site_a&key=READ", 403),
        ("siteId=site_a&key=ADMIN", 403),
    ],
)
async def test_a_badge_that_knows_nothing_says_so_and_takes_no_secret_from_an_address(
    api: Api, token: str, query: str, status: int
) -> None:
    for name, key in (("PUBLIC", token), ("READ", api.read), ("ADMIN", api.admin)):
        query = query.replace(name, key)
    assert said(await badge(api, query)) == (status, UNKNOWN)


@pytest.mark.any_engine
async def test_what_is_not_known_is_not_zero(api: Api, token: str) -> None:
    break_reads(api, EngineError(None))
    response = await badge(api, f"siteId=site_a&key={token}")
    assert said(response) == (503, UNKNOWN)
    assert response.headers["retry-after"] == "1"
    assert (await ask(api, NUMBERS, token))[0] == 503
