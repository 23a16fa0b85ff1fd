"""Salts: one per day for all workers, deleted after use, by two clocks, and at nobody's expense."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from app.settings import Settings
from app.store.statements import Statement
from tests.conftest import Api, Clock, MakeApi
from tests.kit.waiting import until


async def days(api: Api) -> list[str]:
    return (await api.select("SELECT day FROM salts ORDER BY day")).split()


async def test_two_workers_that_start_together_agree_on_the_salt(make_api: MakeApi) -> None:
    clock = Clock()
    one, two = await make_api(clock=clock), await make_api(clock=clock)
    clock.set("12:00:00", days=1)
    day = clock.now.date()
    salts = await asyncio.gather(one.store.salts.of(day), two.store.salts.of(day))
    assert salts[0] == salts[1]
    assert await one.select(f"SELECT count() FROM salts WHERE day = '{day}'") == "1"


async def test_the_salt_of_a_day_is_deleted_after_it_has_served(api: Api) -> None:
    # Two days ago: the day is over by the clock of ClickHouse too, whatever the time is.
    api.clock.set("23:30:00", days=-2)
    await api.store.refresh()
    old, new = api.clock().date(), api.clock().date() + timedelta(days=1)
    served = await api.store.salts.of(old)
    api.clock.set("00:24:59", days=1)
    await api.store.delete_salts()
    assert f"{old}" in await days(api)
    api.clock.set("00:25:00")
    await api.store.delete_salts()
    assert f"{old}" not in await days(api)
    assert f"{new}" in await days(api)
    assert await api.store.salts.of(old) != served, "no worker knows it any more"


async def test_a_clock_that_steps_back_over_a_deleted_salt_gets_a_new_one(api: Api) -> None:
    api.clock.set("23:00:00", days=-2)
    old = f"{api.clock().date()}"
    await api.store.refresh()
    api.clock.set("00:30:00", days=1)
    await api.store.refresh()
    await api.store.delete_salts()
    assert old not in await days(api)
    api.clock.set("23:59:00", days=-1)
    assert (await api.track({"siteId": "site_a"})).status_code == 200
    assert (await api.realtime())["activeVisitors"] == 1
    assert old in await days(api)


async def test_a_worker_whose_clock_is_ahead_takes_no_salt_from_the_others(make_api: MakeApi) -> None:
    fast = Clock()
    right, wrong = await make_api(), await make_api(clock=fast)
    await right.add_site("site_a")
    await wrong.store.refresh()
    _, right.read = await right.add_key("read")
    assert (await right.track({"siteId": "site_a"})).status_code == 200
    for _ in range(2):
        fast.advance(86_400)
        await wrong.store.refresh()
        await wrong.store.delete_salts()
    restarted = await make_api(clock=right.clock)
    assert (await restarted.track({"siteId": "site_a"})).status_code == 200
    assert (await right.realtime())["activeVisitors"] == 1


async def test_a_salt_is_deleted_while_merges_stand_still(api: Api) -> None:
    api.clock.set("23:30:00", days=-2)
    await api.store.refresh()
    old = api.clock().date()
    await api.execute("SYSTEM STOP MERGES salts")
    try:
        api.clock.set("00:25:00", days=1)
        await api.store.refresh()
        await api.store.delete_salts()
        assert f"{old}" not in await days(api)
    finally:
        await api.execute("SYSTEM START MERGES salts")


async def test_a_deletion_that_does_not_end_costs_no_poll(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await make_api(Settings(directory_refresh_ms=20))
    await api.add_site("site_a")
    _, token = await api.add_key("read")
    refreshes = 0
    deletions: list[Any] = []
    fetch, execute = api.store.engine.fetch, api.store.engine.execute

    async def counting(statement: Statement, parameters: Any = None) -> bytes:
        nonlocal refreshes
        refreshes += statement.name == "sites/changed"
        return await fetch(statement, parameters)

    async def never(statement: Statement, parameters: Any = None, *_: Any, **__: Any) -> None:
        if statement.name == "salts/delete":
            deletions.append(parameters)
            await asyncio.Event().wait()
        await execute(statement, parameters)

    api.clock.set("23:30:00", days=-2)
    await api.store.refresh()
    monkeypatch.setattr(api.store.engine, "fetch", counting)
    monkeypatch.setattr(api.store.engine, "execute", never)
    api.clock.set("00:25:00", days=1)
    await until(lambda: bool(deletions))
    # Longer than what is known may be old; then two more refreshes.
    real = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + 60)
    refreshes = 0
    await until(lambda: refreshes > 2)
    assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 200
    assert len(deletions) == 1
