"""The OpenAPI document says what is so; tests/test_fuzz.py holds the service to it."""

import re
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from app.domain.errors import Refusal
from app.domain.signals import ServerSignal, read_body
from app.http.answers import STATUS
from app.settings import Settings
from app.wiring import create_app, create_handlers, create_store, create_work
from tests.kit.endpoints import operations_of

STORE = create_store(Settings(clickhouse_url="http://nowhere.invalid"))


@pytest.fixture
async def document() -> dict[str, Any]:
    app = create_app(Settings(), STORE)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pulsehouse.test") as client:
        response = await client.get("/openapi/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/vnd.oai.openapi+json")
    return dict(response.json())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


async def test_every_method_of_every_path_is_described(document: dict[str, Any]) -> None:
    described = operations(document)
    handlers = create_handlers(Settings(), STORE, create_work(Settings(), STORE))
    assert described.keys() == operations_of(handlers)
    assert all(operation["summary"] and operation["description"] for operation in described.values())
    assert len({operation["operationId"] for operation in described.values()}) == len(described)


async def test_every_reference_leads_somewhere_and_nothing_is_described_for_nobody(document: dict[str, Any]) -> None:
    used = set(re.findall(r"'#/components/(\w+/\w+)'", str(document)))
    parts = {kind: document["components"][kind] for kind in ("schemas", "responses")}
    assert used == {f"{kind}/{name}" for kind, part in parts.items() for name in part}


async def test_every_error_of_the_service_is_described_with_its_body_and_headers(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    assert responses.keys() == {f"Error{int(status)}" for status in (*STATUS.values(), 500)}
    for response in responses.values():
        assert response["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        assert {"Access-Control-Allow-Origin", "Cache-Control"} < response["headers"].keys()
    assert "WWW-Authenticate" in responses["Error401"]["headers"]
    assert "Retry-After" in responses["Error503"]["headers"]
    assert {"Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} < responses["Error429"][
        "headers"
    ].keys()


@pytest.mark.parametrize(
    ("endpoint", "statuses"),
    [
        ("GET /api/realtime", "200 400 401 403 429 500 503"),
        ("GET /api/sites", "200 401 403 429 500 503"),
        ("POST /api/sites", "201 400 401 403 408 409 413 429 500 503"),
        ("GET /api/sites/{id}", "200 401 403 404 429 500 503"),
        ("PATCH /api/sites/{id}", "200 400 401 403 404 408 413 429 500 503"),
        ("DELETE /api/sites/{id}", "204 401 403 404 429 500 503"),
        ("GET /api/keys", "200 401 403 429 500 503"),
        ("POST /api/keys", "201 400 401 403 404 408 413 429 500 503"),
        ("DELETE /api/keys/{id}", "204 401 403 404 429 500 503"),
        ("POST /api/realtime/batch", "200 400 401 403 408 413 429 500 503"),
        ("GET /api/realtime/stream", "200 400 401 403 429 500 503"),
        ("GET /api/realtime/overview", "200 400 401 403 429 500 503"),
        ("GET /api/realtime/numbers", "200 400 401 403 429 500 503"),
        ("GET /badge.svg", "200 400 401 403 429 500 503"),
        ("POST /api/track", "200 400 401 403 404 408 413 422 429 500 503"),
        ("GET /api/track.gif", "200 400 403 404 429 500 503"),
        ("OPTIONS /api/track", "204"),
        ("GET /ready", "200 500 503"),
        ("HEAD /", "200 304 500"),
    ],
)
async def test_an_endpoint_is_described_with_its_statuses(
    document: dict[str, Any], endpoint: str, statuses: str
) -> None:
    assert sorted(operations(document)[endpoint]["responses"]) == statuses.split()


@pytest.mark.parametrize("path", ["/metrics/", "//metrics", "/%6detrics", "/metrics//"])
async def test_metrics_have_one_address_that_a_proxy_can_keep_to_itself(path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(Settings(), STORE))) as client:
        assert (await client.get("http://pulsehouse.test/metrics?x=1")).status_code == 200
        response = await client.get(f"http://pulsehouse.test{path}")
    assert (response.status_code, response.json()) == (404, {"error": "Not found"})


SIGNAL = {"siteId": "site_a", "path": "/", "utm": {"source": "x"}, "visitorId": "ann", "title": "any other field"}


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (SIGNAL, True),
        ({"siteId": "site_a", "batch": True, "events": [{"type": "event"}, {}]}, True),
        ({"batch": True, "events": [SIGNAL]}, True),
        ({"path": "/"}, False),
        ({"siteId": " "}, False),
        ({**SIGNAL, "type": "click"}, False),
        ({**SIGNAL, "path": 7}, False),
        ({**SIGNAL, "visitorId": ""}, False),
        ({**SIGNAL, "country": "Germany"}, False),
        ({**SIGNAL, "utm": {"source": "x" * 1025}}, False),
        ({"batch": True, "events": []}, False),
        ([SIGNAL], False),
        ("site_a", False),
    ],
)
async def test_the_body_of_track_is_described_as_it_is_read(document: dict[str, Any], body: Any, fits: bool) -> None:
    content = operations(document)["POST /api/track"]["requestBody"]["content"]
    assert content.keys() == {"application/json", "text/plain"}
    for described in content.values():
        schema = {**described["schema"], "components": document["components"]}
        assert jsonschema_rs.validator_for(schema).is_valid(body) == fits
    try:
        read_body(msgspec.json.encode(body), 1000, ServerSignal)
    except Refusal:
        assert not fits
    else:
        assert fits
