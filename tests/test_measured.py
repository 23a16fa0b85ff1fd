"""What is counted of requests, with bounded labels, and how much one key may ask for."""

import asyncio
import json
import time
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.settings import Settings
from app.store import inserts, reads
from app.store.statements import Statement
from tests.conftest import Api, MakeApi
from tests.kit.waiting import until

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
    api = await make_api(Settings(key_max_requests_per_minute=per_minute, commit_interval_ms=0))
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
