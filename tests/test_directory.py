"""Sites and keys in each worker's memory: what has changed is known, however long its machine stood still."""

import json
import time
from typing import Any
from unittest.mock import AsyncMock, Mock
from urllib.parse import quote

import pytest

from app.domain.keys import hash_token
from app.settings import Settings
from app.store.statements import Statement, load_statements
from app.store.tenants import LOOK_OVER_EVERY_S, Tenants
from tests.conftest import Api, MakeApi

TOKEN = "ph_live_test"
# Sites and keys are refreshed when the test says so.
BY_HAND = Settings(directory_refresh_ms=600_000)


async def write_site(api: Api, site_id: str, hours_ago: int) -> None:
    await api.execute(
        "INSERT INTO sites (id, tenant, domains, name, created_at, updated_at) "
        f"SELECT '{site_id}', 'acme', ['example.com'], 'x', now64(3) - toIntervalHour({hours_ago}) AS t, t"
    )


async def write_key(api: Api, hours_ago: int, *, revoked: bool = False) -> None:
    await api.execute(
        "INSERT INTO api_keys (id, tenant, token_sha256, scope, created_at, revoked_at, updated_at) "
        f"SELECT 'key_1', 'acme', '{hash_token(TOKEN).hex()}', 'read', now64(3) - toIntervalHour({hours_ago}) AS t, "
        f"{'t' if revoked else 'NULL'}, t"
    )


async def poll(api: Api, site_id: str) -> int:
    return (await api.get(f"/api/realtime?siteId={quote(site_id)}", TOKEN)).status_code


def let_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Suspend the machine: time.monotonic() stands still meanwhile, the boot clock does not."""
    real = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + seconds)


async def test_what_was_written_while_a_worker_slept_is_seen_when_it_wakes(make_api: MakeApi) -> None:
    other = await make_api(BY_HAND)
    await write_site(other, "site_a", 3)
    await write_key(other, 3)
    worker = await make_api(BY_HAND)
    assert await poll(worker, "site_a") == 200
    # Two hours ago for ClickHouse; for the worker, which has slept, nothing has passed since its last refresh.
    await write_site(other, "site_b", 2)
    await worker.store.refresh()
    assert await poll(worker, "site_b") == 200
    await write_key(other, 2, revoked=True)
    await worker.store.refresh()
    assert await poll(worker, "site_a") == 401


async def test_a_worker_that_wakes_is_not_fresh_before_it_has_read_what_it_missed(
    api: Api, make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await make_api(BY_HAND)
    let_pass(monkeypatch, 6)
    assert (await worker.get("/api/sites", api.read)).status_code == 503
    assert (await worker.get("/ready")).status_code == 503
    await worker.store.refresh()
    assert (await worker.get("/api/sites", api.read)).status_code == 200


async def test_what_was_missed_is_read_now_and_then_whatever_the_clocks_have_done(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await make_api(BY_HAND)
    await write_key(worker, 0)
    await write_site(worker, "site_a", 0)
    await worker.store.refresh()
    await write_site(worker, "site_b", 1)  # committed late, or by a clock that has stepped back
    await worker.store.refresh()
    assert await poll(worker, "site_b") == 403
    let_pass(monkeypatch, LOOK_OVER_EVERY_S)
    await worker.store.refresh()
    assert await poll(worker, "site_b") == 200


async def test_a_worker_that_knows_all_reads_no_more_than_what_is_new(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_site(api, "site_c", 3)
    await api.store.tenants.set_site("site_a", ["example.com"], "changed")
    await api.store.tenants.remove_site("site_b")
    (key, *_) = await api.store.tenants.list_keys()
    await api.store.tenants.revoke_key(key.id)
    read: list[str] = []

    async def noting(statement: Statement, parameters: Any = None) -> bytes:
        read.append(statement.name)
        return await api.store.engine.fetch(statement, parameters)

    worker = Tenants(Mock(fetch=noting), load_statements(), max_age_s=5)
    await worker.refresh()
    assert read == ["sites/digests", "sites/in_buckets", "keys/in_buckets", "sites/changed", "keys/changed"]
    read.clear()
    let_pass(monkeypatch, LOOK_OVER_EVERY_S)
    await worker.refresh()
    assert read == ["sites/digests", "sites/changed", "keys/changed"]


@pytest.mark.parametrize("written", ["site\\ta", "site\\na", "site\\ra"])
async def test_a_site_whose_id_is_no_text_is_left_out_and_spoils_no_others_answer(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture, written: str
) -> None:
    api = await make_api()
    await write_key(api, 0)
    for site_id in (written, "site_b"):
        await write_site(api, site_id, 0)
    for _ in range(2):
        await api.store.refresh()
    assert await poll(api, written.encode().decode("unicode_escape")) == 403
    assert await poll(api, "site_b") == 200
    assert caplog.messages == [f"site '{written}' is left out: its id has characters that are not printable"]


async def test_what_a_worker_missed_is_read_in_pages_of_its_buckets_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await write_site(api, f"site_{number}", 3)
    monkeypatch.setattr("app.store.tenants.PAGE_ROWS", 8)
    pages: list[int] = []

    async def counting(statement: Statement, parameters: Any = None) -> bytes:
        found = await api.store.engine.fetch(statement, parameters)
        if statement.name == "sites/in_buckets":
            pages.append(len(json.loads(found)["data"]))
        return found

    worker = Tenants(Mock(fetch=counting), load_statements(), max_age_s=5)
    await worker.refresh()
    assert (sum(pages), max(pages) <= 8) == (22, True)  # with the two that there were
    pages.clear()
    await write_site(api, "site_7", 2)  # committed late, or by a clock that has stepped back
    await worker.refresh()
    assert pages == []
    let_pass(monkeypatch, LOOK_OVER_EVERY_S)
    await worker.refresh()
    assert pages == [1]
    assert worker.site("site_7") is not None


@pytest.mark.any_engine
async def test_a_process_that_knows_nothing_reads_nothing_after_a_change_of_its_own() -> None:
    fetch = AsyncMock()
    await Tenants(Mock(fetch=fetch), load_statements(), max_age_s=5).refresh_known()
    assert fetch.await_count == 0
