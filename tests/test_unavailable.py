"""Not known is 503, never zero: a ClickHouse that is down, slow or forgetful."""

import asyncio
from typing import Any

import httpx
import pytest

from app.settings import Settings
from app.store.engine import EngineError
from app.store.statements import Statement
from app.wiring import create_app, create_store
from tests.conftest import Api, Clock, MakeApi
from tests.kit.waiting import until

UNAVAILABLE = {"error": "Temporarily unavailable, try again"}


def break_reads(api: Api, error: EngineError) -> None:
    async def fetch(statement: Statement, parameters: Any = None) -> bytes:
        raise error

    api.store.engine.fetch = fetch  # type: ignore[method-assign]


async def until_ready(api: Api, status: int) -> None:
    async def is_so() -> bool:
        return (await api.get("/ready")).status_code == status

    await until(is_so)


@pytest.mark.parametrize("code", [None, 159, 241, 394, 60])
async def test_a_statement_that_fails_is_503_and_shows_nothing_of_clickhouse(api: Api, code: int | None) -> None:
    break_reads(api, EngineError(code, detail="Code: 241. DB::Exception: SELECT secret"))
    response = await api.get("/api/realtime?siteId=site_a", api.read)
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)
    assert response.headers["retry-after"] == "1"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cache-control"] == "no-cache"


async def test_a_statement_that_takes_too_long_is_503(make_api: MakeApi) -> None:
    api = await make_api(Settings(query_timeout_ms=200))
    await api.add_site("site_a")
    _, token = await api.add_key("read")

    over = asyncio.Event()

    async def slow(statement: Statement, parameters: Any = None) -> bytes:
        await over.wait()
        return b""

    api.store.engine.fetch = slow  # type: ignore[method-assign]
    response = await api.get("/api/realtime?siteId=site_a", token)
    over.set()
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)


async def test_keys_are_not_trusted_when_a_revocation_could_have_been_missed(make_api: MakeApi) -> None:
    api = await make_api(Settings(directory_refresh_ms=50, directory_max_age_ms=300))
    await api.add_site("site_a")
    _, token = await api.add_key("read")
    await until_ready(api, 200)
    break_reads(api, EngineError(None))
    await until_ready(api, 503)
    for path in ("/api/realtime?siteId=site_a", "/api/sites"):
        response = await api.get(path, token)
        assert (response.status_code, response.json()) == (503, UNAVAILABLE)
    assert (await api.get("/ready")).status_code == 503
    assert (await api.get("/health")).status_code == 200
    assert (await api.get("/api/realtime?siteId=site_a", "nonsense")).status_code == 401


async def test_a_service_whose_clickhouse_is_down_starts_and_answers_503(unused_port: int) -> None:
    settings = Settings(clickhouse_url=f"http://default:@127.0.0.1:{unused_port}/test_down", commit_timeout_ms=300)
    store = create_store(settings, clock=Clock())
    await store.start()
    transport = httpx.ASGITransport(create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://pulsehouse.test") as client:
        poll = await client.get("/api/realtime?siteId=x", headers={"Authorization": "Bearer ph_live_x"})
        track = await client.post("/api/track", json={"siteId": "x"}, headers={"User-Agent": "Mozilla/5.0"})
        assert [(answer.status_code, answer.json()) for answer in (poll, track)] == [(503, UNAVAILABLE)] * 2
        assert (await client.get("/api/realtime")).status_code == 401
        assert (await client.get("/health")).status_code == 200
    await store.close(1)


@pytest.mark.parametrize("answer", [b"", b"<html>busy</html>", b"[]", b'{"data": {}}'])
async def test_an_answer_that_is_not_clickhouses_does_not_pass_for_nothing_has_changed(
    make_api: MakeApi, answer: bytes
) -> None:
    api = await make_api()
    fetch = api.store.engine.fetch

    async def odd_proxy(statement: Statement, parameters: Any = None) -> bytes:
        return answer if statement.name.endswith(("/changed", "salts/list")) else await fetch(statement, parameters)

    api.store.engine.fetch = odd_proxy  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        await api.store.tenants.refresh()
    api.clock.set("12:00:00", days=5)  # a day without a salt yet
    with pytest.raises(EngineError):
        await api.store.salts.refresh(api.clock())
