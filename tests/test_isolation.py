"""No token reads or writes what is not its tenant's, and unknown and foreign sites look alike."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.from_thread
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.keys import ApiKey, hash_token
from app.domain.sites import Site, site_key
from app.settings import Settings
from app.store.statements import Statement
from app.wiring import create_app, create_store

NOW = datetime.now(UTC)
TENANTS = ("acme", "rival", "third")
SITES = {f"site_{n}": Site(f"site_{n}", TENANTS[n % 3], ("example.com",), "x") for n in range(6)}
ASKED = (*SITES, "unknown", "SITE_0", "site_0 ")
DENIED = (403, b'{"error":"Access denied"}')
INVALID = (401, b'{"error":"Invalid or expired token"}')

keys = st.builds(
    lambda number, tenant, scope, bound, expires, revoked: ApiKey(
        f"key_{number}", tenant, hash_token(f"ph_live_{number}"), scope, bound, expires, revoked
    ),
    number=st.integers(0, 5),
    tenant=st.sampled_from(TENANTS),
    scope=st.sampled_from(["read", "write", "admin"]),
    bound=st.sampled_from(["", "", *SITES]),
    expires=st.sampled_from([None, None, NOW + timedelta(days=1), NOW - timedelta(seconds=1), NOW]),
    revoked=st.sampled_from([None, None, None, NOW - timedelta(days=1)]),
)


class CountingEngine:
    """Stands for ClickHouse and notes which sites were asked for and written."""

    name = database = "counting"

    def __init__(self) -> None:
        self.read: list[str] = []
        self.written: list[bytes] = []

    async def fetch(self, _statement: Statement, parameters: Any = None) -> bytes:
        sites = {site_key(site_id): site_id for site_id in ASKED}
        self.read += [sites[key] for key in parameters["sites"]]
        rows = [f'["{key}",1,1,0,[["/{sites[key]}",1]],[],[0,0,0,0,0]]' for key in parameters["sites"]]
        return f'{{"data":[{",".join(rows)}],"rows":{len(rows)}}}'.encode()

    async def execute(
        self, _statement: Statement, _parameters: Any = None, rows: bytes | None = None, **_options: Any
    ) -> None:
        self.written.append(rows or b"")


class Door:
    """The HTTP surface before a directory that a test fills as it likes."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal) -> None:
        self.portal = portal
        portal.call(self._open)

    async def _open(self) -> None:
        self.engine = CountingEngine()
        own = Settings(track_max_signals_per_minute=0, commit_interval_ms=0)
        self.store = create_store(own, clock=lambda: NOW)
        for part in (self.store.reads, self.store.inserts):
            part._engine = self.engine  # type: ignore[assignment]
        self.store.tenants.require_fresh = lambda: None  # type: ignore[method-assign]
        self.store.tenants._sites.update(SITES)
        self.store.salts._salts = {(NOW + timedelta(days=days)).date(): b"salt" for days in (-1, 0, 1)}
        self.store.inserts.start()
        transport = httpx.ASGITransport(create_app(own, self.store))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://x", headers={"User-Agent": "Mozilla/5.0"})

    async def read(self, token: str, site_id: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.client.get("/api/realtime", params={"siteId": site_id}, headers=headers)
        return response.status_code, response.content, sorted(response.headers.items())

    async def write(self, token: str, site_id: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        body = {"siteId": site_id, "visitorId": "ann"}
        response = await self.client.post("/api/track", json=body, headers={"Authorization": f"Bearer {token}"})
        return response.status_code, response.content, sorted(response.headers.items())


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        yield Door(portal)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(keys, max_size=6), token=st.integers(0, 7), site_id=st.sampled_from(ASKED))
def test_a_token_reaches_its_tenants_sites_alone(door: Door, made: list[ApiKey], token: int, site_id: str) -> None:
    directory = {key.token_sha256: key for key in made}
    door.store.tenants._keys = directory
    key, site = directory.get(hash_token(f"ph_live_{token}")), SITES.get(site_id)
    valid = key is not None and key.revoked_at is None and (key.expires_at is None or key.expires_at > NOW)
    reaches = bool(valid and key and site and site.tenant == key.tenant and key.site_id in ("", site_id))
    door.engine.read.clear()
    door.engine.written.clear()

    async def both() -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        return list(
            await asyncio.gather(door.read(f"ph_live_{token}", site_id), door.write(f"ph_live_{token}", site_id))
        )

    read, write = door.portal.call(both)
    if not valid or key is None:
        assert read[:2] == write[:2] == INVALID
    elif reaches and key.scope in ("read", "admin"):
        assert (read[0], json.loads(read[1])["pageBreakdown"]) == (200, {f"/{site_id}": 1})
    else:
        assert read[:2] == DENIED
    if valid and key and key.scope == "read":
        assert write[:2] == DENIED
    elif reaches:
        assert write[:2] == (200, b'{"success":true}')
    elif valid:
        assert write[:2] == (404, b'{"error":"Invalid site ID"}')
    assert door.engine.read == ([site_id] if read[0] == 200 else [])
    assert len(door.engine.written) == (write[0] == 200)


def test_unknown_and_foreign_sites_cannot_be_told_apart(door: Door) -> None:
    key = ApiKey("key", "acme", hash_token("ph_live_1"), "admin", "", None, None)
    door.store.tenants._keys = {key.token_sha256: key}
    door.engine.read.clear()
    foreign = next(site.id for site in SITES.values() if site.tenant != "acme")

    async def ask(site_id: str) -> list[Any]:
        return [await door.read("ph_live_1", site_id), await door.write("ph_live_1", site_id)]

    assert door.portal.call(ask, foreign) == door.portal.call(ask, "unknown")
    assert door.engine.read == []
