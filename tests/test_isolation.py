"""No token reads or writes what is not its tenant's, and unknown and foreign sites look alike."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import anyio.from_thread
import httpx
import msgspec
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

serial = count()
keys = st.builds(
    lambda number, tenant, scope, bound, expires, revoked: ApiKey(
        f"key_{number}", tenant, b"%d" % number, scope, bound, expires, revoked
    ),
    number=st.integers(0, 5),
    tenant=st.sampled_from(TENANTS),
    scope=st.sampled_from(["read", "write", "admin", "public"]),
    bound=st.sampled_from(["", "", *SITES]),
    expires=st.sampled_from([None, None, NOW + timedelta(days=1), NOW - timedelta(seconds=1), NOW]),
    revoked=st.sampled_from([None, None, None, NOW - timedelta(days=1)]),
)

callers = st.builds(
    lambda tenant, scope, bound, revoked: ApiKey("key_7", tenant, hash_token("ph_live_7"), scope, bound, None, revoked),
    tenant=st.sampled_from(TENANTS),
    scope=st.sampled_from(["admin", "admin", "admin", "admin", "read", "write", "public"]),
    bound=st.sampled_from(["", "", "", *SITES]),
    revoked=st.sampled_from([None, None, None, None, None, NOW - timedelta(days=1)]),
)
"""The keys of who calls: mostly an admin's."""


def result(rows: Iterable[dict[str, Any] | tuple[Any, ...]]) -> bytes:
    """Rows in ClickHouse's format JSON, or JSONCompact."""
    return msgspec.json.encode({"data": list(rows)})


class CountingEngine:
    """Stands for ClickHouse with the keys that a test gives it, and notes which sites were asked for and written."""

    name = database = "counting"

    def __init__(self) -> None:
        self.keys: list[ApiKey] = []
        self.read: list[str] = []
        self.overviews: list[str] = []
        self.written: list[bytes] = []
        self.changed: list[tuple[str, Any]] = []

    async def create_database(self, statement: Statement) -> None:
        """It needs none."""

    async def is_granted(self, statement: Statement) -> bool:
        return True

    async def fetch(self, statement: Statement, parameters: Any = None) -> bytes:
        if statement.name == "sites/find":
            added = [msgspec.convert(what, Site) for name, what in self.changed if name == "sites/add"]
            stored = {site.id: site for site in [*SITES.values(), *added]}
            additions = {what["id"]: what["addition"] for name, what in self.changed if name == "sites/add"}
            return result(
                {**_row(stored[site]), "addition": additions.get(site, "")}
                for site in parameters["ids"]
                if site in stored
            )
        if statement.name == "sites/last_addition":
            return result([{"addition": ""}])
        if statement.name == "keys/list_of_tenant":
            return result(_row(key) for key in self.keys if key.tenant == parameters["tenant"])
        if statement.name == "overview":
            self.overviews += [site for site in ASKED if site_key(site) in parameters["sites"]]
            rows = [f'["{key}",1,1,[0,0,0,0,1]]' for key in parameters["sites"]]
            return f'{{"data":[{",".join(rows)}],"rows":{len(rows)}}}'.encode()
        if statement.name == "sites/digests":
            return result([])
        if statement.name == "sites/changed":
            return result((*msgspec.structs.astuple(site), 0, 0, False, False) for site in SITES.values())
        if statement.name == "keys/changed":
            return result((*msgspec.structs.astuple(key), 0) for key in self.keys)
        if statement.name == "salts/list":
            days = [(NOW + timedelta(days=days)).date() for days in (-1, 0, 1)]
            return result({"day": day, "salt": "5a17", "served": False} for day in days)
        assert statement.name == "realtime"
        sites = {site_key(site_id): site_id for site_id in ASKED}
        self.read += [sites[key] for key in parameters["sites"]]
        rows = [f'["{key}",1,1,[["/{sites[key]}",1]],[],[0,0,0,0,0]]' for key in parameters["sites"]]
        return f'{{"data":[{",".join(rows)}],"rows":{len(rows)}}}'.encode()

    async def execute(
        self, statement: Statement, parameters: Any = None, rows: bytes | None = None, **_options: Any
    ) -> None:
        if statement.name == "track/insert_signals":
            self.written.append(rows or b"")
        elif statement.name == "sites/add":
            self.changed.append((statement.name, msgspec.json.decode(rows or b"")))
        else:
            self.changed.append((statement.name, parameters))

    async def close(self) -> None:
        """Nothing is open."""


def _row(of: Site | ApiKey) -> dict[str, Any]:
    """What is stored of a site or a key."""
    times = dict.fromkeys(("created_at", "updated_at"), NOW) | dict.fromkeys(("removed_at", "cleared_at"))
    return msgspec.structs.asdict(of) | times


class Door:
    """The HTTP surface of a service whose sites are SITES, before keys that a test chooses."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal) -> None:
        self.portal = portal
        portal.call(self._open)

    async def _open(self) -> None:
        self.engine = CountingEngine()
        own = Settings(track_max_signals_per_minute=0, commit_interval_ms=0, directory_max_age_ms=600_000)
        self.store = create_store(own, engine=self.engine, clock=lambda: NOW)
        self.store.inserts.start()
        transport = httpx.ASGITransport(create_app(own, self.store))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://x", headers={"User-Agent": "Mozilla/5.0"})

    async def give(self, keys: Iterable[ApiKey]) -> None:
        """Let the service know these keys; begin to count."""
        self.engine.keys = list(keys)
        await self.store.refresh()
        self.engine.read.clear()
        self.engine.written.clear()

    async def read(self, token: str, site_id: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.client.get("/api/realtime", params={"siteId": site_id}, headers=headers)
        return response.status_code, response.content, sorted(response.headers.items())

    async def write(self, token: str, site_id: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        body = {"siteId": site_id, "visitorId": "ann"}
        response = await self.client.post("/api/track", json=body, headers={"Authorization": f"Bearer {token}"})
        return response.status_code, response.content, sorted(response.headers.items())

    async def batch(self, token: str, site_ids: list[str]) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.client.post("/api/realtime/batch", json={"siteIds": site_ids}, headers=headers)
        return response.status_code, response.content

    async def change(self, method: str, path: str, token: str, body: Any) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await self.client.request(method, path, json=body, headers=headers)).status_code

    async def overview(self, token: str) -> tuple[int, list[str]]:
        response = await self.client.get("/api/realtime/overview", headers={"Authorization": f"Bearer {token}"})
        return response.status_code, [site["siteId"] for site in response.json().get("sites", [])]


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        yield Door(portal)


def give_new_tokens(door: Door, made: list[ApiKey], number: int) -> tuple[str, ApiKey | None, bool]:
    """Let the service know these keys; return one of their tokens, its key if there is one, and whether it is valid.

    The tokens are those that no example before had: a service forgets no key that it has seen.
    """
    tokens = [f"ph_live_{next(serial)}_{number}" for number in range(8)]
    directory = {int(key.token_sha256): key for key in made}
    given = [msgspec.structs.replace(key, token_sha256=hash_token(tokens[at])) for at, key in directory.items()]
    door.portal.call(door.give, given)
    key = directory.get(number)
    return tokens[number], key, bool(key and not key.revoked_at and (not key.expires_at or key.expires_at > NOW))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(keys, max_size=6), token=st.integers(0, 7), site_id=st.sampled_from(ASKED))
def test_a_token_reaches_its_tenants_sites_alone(door: Door, made: list[ApiKey], token: int, site_id: str) -> None:
    sent, key, valid = give_new_tokens(door, made, token)
    site = SITES.get(site_id)
    reaches = bool(valid and key and site and site.tenant == key.tenant and key.site_id in ("", site_id))

    async def both() -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        return list(await asyncio.gather(door.read(sent, site_id), door.write(sent, site_id)))

    read, write = door.portal.call(both)
    if not valid or key is None:
        assert read[:2] == write[:2] == INVALID
    elif reaches and key.scope in ("read", "admin"):
        assert (read[0], json.loads(read[1])["pageBreakdown"]) == (200, {f"/{site_id}": 1})
    else:
        assert read[:2] == DENIED
    if valid and key and key.scope in ("read", "public"):
        assert write[:2] == DENIED
    elif reaches:
        assert write[:2] == (200, b'{"success":true}')
    elif valid:
        assert write[:2] == (404, b'{"error":"Invalid site ID"}')
    assert door.engine.read == ([site_id] if read[0] == 200 else [])
    assert len(door.engine.written) == (write[0] == 200)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(keys, max_size=6), token=st.integers(0, 7), asked=st.sets(st.sampled_from(ASKED), min_size=1))
def test_many_sites_in_one_call_are_no_way_around(door: Door, made: list[ApiKey], token: int, asked: set[str]) -> None:
    sent, key, valid = give_new_tokens(door, made, token)
    own = [site.id for site in SITES.values() if key and valid and key.may_read(site)]
    door.engine.read.clear()

    status, answer = door.portal.call(door.batch, sent, sorted(asked))
    if not valid or key is None:
        assert (status, answer) == INVALID
    elif asked <= set(own):
        assert status == 200
    else:
        assert (status, answer) == DENIED
    assert sorted(door.engine.read) == (sorted(asked) if status == 200 else [])

    door.engine.overviews.clear()
    status, shown = door.portal.call(door.overview, sent)
    assert sorted(door.engine.overviews) == (sorted(own) if status == 200 else [])
    assert (status, shown) == (
        401 if not valid or key is None else 403 if key.scope in ("write", "public") else 200,
        own,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=callers,
    others=st.lists(keys, max_size=6, unique_by=lambda key: key.id),
    site_id=st.sampled_from(ASKED),
    key_number=st.integers(0, 7),
    call=st.sampled_from(["change", "remove", "add", "make key", "revoke key"]),
)
def test_an_admin_changes_nothing_outside_its_tenant(
    door: Door, key: ApiKey, others: list[ApiKey], site_id: str, key_number: int, call: str
) -> None:
    made = [*others, key]
    door.portal.call(door.give, made)
    door.engine.changed.clear()
    site = SITES.get(site_id)
    method, path, body, done = {
        "change": ("PATCH", f"/api/sites/{site_id}", {"name": "x"}, 200),
        "remove": ("DELETE", f"/api/sites/{site_id}", None, 204),
        "add": ("POST", "/api/sites", {"domains": ["a.example"], "id": site_id.strip()}, 201),
        "make key": ("POST", "/api/keys", {"scope": "admin", "siteId": site_id}, 201),
        "revoke key": ("DELETE", f"/api/keys/key_{key_number}", None, 204),
    }[call]
    if call == "make key":
        new_key = ApiKey("key_new", key.tenant, b"", "admin", site_id, None, None)
        door.engine.keys = [*made, new_key]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.store.tenants.new_key_id", lambda: "key_new")
        status = door.portal.call(door.change, method, path, "ph_live_7", body)

    of_a_site = call in ("change", "remove")
    own_site = bool(site and site.tenant == key.tenant and key.site_id in ("", site_id))
    own_key = any(other.id == f"key_{key_number}" and other.tenant == key.tenant for other in made)
    if key.revoked_at:
        expected = 401
    elif key.scope != "admin" or (key.site_id and not of_a_site):
        expected = 403
    elif call == "add":
        expected = 409 if site_id.strip() in SITES else 201
    else:
        expected = done if (own_key if call == "revoke key" else own_site) else 404
    assert status == expected
    if status != done:
        assert door.engine.changed == []
        return
    ((name, what),) = door.engine.changed
    assert (
        name
        == {
            "change": "sites/set",
            "remove": "sites/remove",
            "add": "sites/add",
            "make key": "keys/add",
            "revoke key": "keys/revoke",
        }[call]
    )
    if call in ("add", "make key"):
        assert what["tenant"] == key.tenant
    else:
        assert what["id"] == path.rpartition("/")[2]


def test_unknown_and_foreign_sites_cannot_be_told_apart(door: Door) -> None:
    door.portal.call(door.give, [ApiKey("key", "acme", hash_token("ph_live_1"), "admin", "", None, None)])
    foreign = next(site.id for site in SITES.values() if site.tenant != "acme")

    async def ask(site_id: str) -> list[Any]:
        return [await door.read("ph_live_1", site_id), await door.write("ph_live_1", site_id)]

    assert door.portal.call(ask, foreign) == door.portal.call(ask, "unknown")
    assert door.engine.read == []
