"""What is counted of requests, with bounded labels, and how much one key may ask for."""

import asyncio
import json
import time
from functools import partial
from types import ModuleType
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from app.http import requests
from app.settings import Settings
from app.store import inserts, reads
from app.store.statements import Statement
from tests.conftest import Api, MakeApi
from tests.kit.waiting import GIVE_UP_S, until

NAME = "pulsehouse_http_requests_total"


def counted(route: str, method: str, status: int) -> float:
    return REGISTRY.get_sample_value(NAME, {"route": route, "method": method, "status": str(status)}) or 0


def series() -> int:
    return sum(len(metric.samples) for metric in REGISTRY.collect() if metric.name.startswith("pulsehouse_http"))


async def test_requests_are_counted_by_route_method_and_status(api: Api) -> None:
    asked: list[tuple[str, str, int, str]] = [
        ("GET", "/api/realtime", 200, "?siteId=site_a"),
        ("GET", "/api/realtime", 403, "?siteId=unknown"),
        ("POST", "/api/realtime/batch", 400, ""),
        ("GET", "/api/sites/{id}", 404, ""),
    ]
    for method, route, status, query in asked:
        before = counted(route, method, status)
        path = route.replace("{id}", "whatever")
        response = await api.client.request(method, path + query, headers={"Authorization": f"Bearer {api.admin}"})
        assert response.status_code == status
        assert counted(route, method, status) == before + 1
    assert (REGISTRY.get_sample_value("pulsehouse_http_request_seconds_count", {"route": "/api/realtime"}) or 0) >= 2


async def test_what_callers_make_up_makes_no_new_series(api: Api) -> None:
    async def make_up(number: int) -> None:
        await api.client.request(f"X{number}", f"/{number}")
        await api.client.get(f"/api/x{number}")
        await api.client.request(f"X{number}", "/api/realtime")
        await api.get(f"/api/sites/{number}", api.admin)

    await make_up(0)
    before = series()
    for number in range(1, 20):
        await make_up(number)
    assert series() == before


async def test_it_tells_its_version_and_when_it_was_fresh(api: Api) -> None:
    text = (await api.get("/metrics")).text
    assert 'pulsehouse_build_info{version="' in text
    before = REGISTRY.get_sample_value("pulsehouse_directory_refreshed_timestamp_seconds")
    await api.store.refresh()
    after = REGISTRY.get_sample_value("pulsehouse_directory_refreshed_timestamp_seconds")
    assert before is not None
    assert after is not None
    assert after >= before > 1.7e9


async def make_limited(make_api: MakeApi, per_minute: int) -> Api:
    api = await make_api(Settings(key_max_requests_per_minute=per_minute, too_many_delay_ms=0, commit_interval_ms=0))
    for site_id in ("site_a", "site_b"):
        await api.add_site(site_id)
    _, api.read = await api.add_key("read")
    return api


def batch_of(*site_ids: str) -> dict[str, Any]:
    return {"content": json.dumps({"siteIds": site_ids})}


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("method", "path", "more", "cost"),
    [
        ("GET", "/api/realtime?siteId=site_a", {}, 1),
        ("GET", "/api/sites", {}, 1),
        ("GET", "/api/realtime/overview", {}, 2),
        ("POST", "/api/realtime/batch", batch_of("site_a", "site_b"), 2),
    ],
)
async def test_a_key_has_its_share_of_a_minute_and_takes_nothing_from_others(
    make_api: MakeApi, method: str, path: str, more: dict[str, Any], cost: int
) -> None:
    api = await make_limited(make_api, per_minute=4)
    _, other = await api.add_key("read", tenant="rival")
    headers = {"Authorization": f"Bearer {api.read}"}
    for _ in range(4 // cost):
        assert (await api.client.request(method, path, headers=headers, **more)).status_code == 200
    refused = await api.client.request(method, path, headers=headers, **more)
    assert (refused.status_code, refused.json()) == (429, {"error": "Too many requests"})
    assert refused.headers["x-ratelimit-limit"] == "4"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await api.get("/api/sites", other)).status_code == 200


async def test_without_a_limit_a_key_asks_as_it_likes(make_api: MakeApi) -> None:
    api = await make_limited(make_api, per_minute=0)
    for _ in range(50):
        assert (await api.get("/api/sites", api.read)).status_code == 200


class Sleeps:
    """asyncio, which only notes for how long somebody would sleep."""

    def __init__(self) -> None:
        self.noted_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay_s: float) -> None:
        self.noted_s.append(delay_s)


@pytest.mark.any_engine
async def test_what_is_too_much_is_refused_only_after_a_while(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_api(Settings(key_max_requests_per_minute=1))
    _, token = await api.add_key("read")
    sleeps = Sleeps()
    monkeypatch.setattr(requests, "asyncio", sleeps)
    assert [(await api.get("/api/sites", given)).status_code for given in (token, "ph_live_x")] == [200, 401]
    assert sleeps.noted_s == []
    assert (await api.get("/api/sites", token)).status_code == 429
    assert sleeps.noted_s == [0.5]


class Held:
    """Reads that wait until they are let go, and for whom."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tenants: list[str] = []
        self.go = asyncio.Event()
        self._of = api.store.reads.of
        monkeypatch.setattr(api.store.reads, "of", self.of)

    async def of(self, tenant: str, site_id: str) -> bytes:
        self.tenants.append(tenant)
        await self.go.wait()
        return await self._of(tenant, site_id)


async def make_turns(make_api: MakeApi, at_once: int, timeout_ms: int = 5_000) -> Api:
    api = await make_api(Settings(key_max_concurrent_polls=at_once, query_timeout_ms=timeout_ms))
    await api.add_site("site_a")
    await api.add_site("site_rival", tenant="rival")
    _, api.read = await api.add_key("read")
    return api


def ask_for_sites(api: Api, path: str, number: int) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(api.get(f"{path}?siteId=site_a", api.read)) for _ in range(number)]


@pytest.mark.any_engine
@pytest.mark.parametrize("path", ["/api/realtime", "/api/realtime/numbers"])
async def test_polls_of_a_key_wait_for_each_other_and_those_of_others_do_not(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    api = await make_turns(make_api, at_once=2)
    _, other = await api.add_key("read", tenant="rival")
    reads = Held(api, monkeypatch)
    polls = ask_for_sites(api, path, 5)
    await until(lambda: len(reads.tenants) >= 2)
    polls.append(asyncio.create_task(api.get(f"{path}?siteId=site_rival", other)))
    await until(lambda: len(reads.tenants) > 2)
    assert reads.tenants == ["acme", "acme", "rival"]
    reads.go.set()
    assert [answer.status_code for answer in await asyncio.gather(*polls)] == [200] * 6
    assert reads.tenants == ["acme", "acme", "rival", "acme", "acme", "acme"]


@pytest.mark.any_engine
async def test_a_turn_that_does_not_come_in_time_is_503_and_is_not_lost(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_turns(make_api, at_once=1, timeout_ms=100)
    reads = Held(api, monkeypatch)
    first, late = ask_for_sites(api, "/api/realtime", 2)
    async with asyncio.timeout(GIVE_UP_S):
        answer = await late
    assert (answer.status_code, answer.json()) == (503, {"error": "Temporarily unavailable, try again"})
    assert reads.tenants == ["acme"]
    reads.go.set()
    await first
    reads.tenants.clear()
    (again,) = ask_for_sites(api, "/api/realtime", 1)
    await again
    assert reads.tenants == ["acme"]


@pytest.mark.any_engine
async def test_without_a_limit_of_turns_all_polls_of_a_key_go_at_once(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_turns(make_api, at_once=0)
    reads = Held(api, monkeypatch)
    polls = ask_for_sites(api, "/api/realtime", 100)
    await until(lambda: len(reads.tenants) == 100)
    reads.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*polls)} == {200}


class FakeTime:
    """A time.perf_counter() that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return (lambda: self.now_s) if name == "perf_counter" else getattr(time, name)


def observed(name: str) -> tuple[float, float]:
    """How many a histogram has seen, and their sum."""
    return REGISTRY.get_sample_value(f"{name}_count") or 0, REGISTRY.get_sample_value(f"{name}_sum") or 0


@pytest.mark.parametrize(
    ("metric", "statement", "module"),
    [
        ("pulsehouse_commit_wait_seconds", "track/insert_signals", inserts),
        ("pulsehouse_realtime_statement_wait_seconds", "realtime", reads),
    ],
)
async def test_waiting_for_a_statement_is_measured(
    api: Api, monkeypatch: pytest.MonkeyPatch, metric: str, statement: str, module: ModuleType
) -> None:
    clock, hold, running = FakeTime(), asyncio.Event(), 0
    execute, fetch = api.store.engine.execute, api.store.engine.fetch

    async def held(real: Any, asked: Statement, *arguments: Any, **options: Any) -> Any:
        nonlocal running
        if asked.name == statement:
            running += 1
            await hold.wait()
        return await real(asked, *arguments, **options)

    async def ask() -> None:
        if module is reads:
            await api.realtime()
        else:
            assert (await api.track({"siteId": "site_a"})).status_code == 200

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(api.store.engine, "execute", partial(held, execute))
    monkeypatch.setattr(api.store.engine, "fetch", partial(held, fetch))
    count, seconds = observed(metric)
    first = asyncio.create_task(ask())
    await until(lambda: running == 1)
    later = [asyncio.create_task(ask()) for _ in range(3)]
    await until(
        lambda: api.store.inserts.queued == 4 if module is inserts else len(api.store.reads._asked["site_a"].later) == 3  # type: ignore[union-attr]
    )
    clock.now_s += 3
    later.append(asyncio.create_task(ask()))
    clock.now_s += 4
    hold.set()
    await asyncio.gather(first, *later)
    assert observed(metric) == (count + 2, seconds + 7)
