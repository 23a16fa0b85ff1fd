"""Sites and keys over HTTP: each row of the contract, what is refused, and what becomes of a removed site's rows."""

import asyncio
import json
import logging
import re
from typing import Any

import httpx
import pytest

from app.settings import Settings
from app.store.statements import load_statements
from tests.conftest import Api, MakeApi, Signals

pytestmark = pytest.mark.cluster

NOT_FOUND = (404, {"error": "Not found"})
DENIED = (403, {"error": "Access denied"})
NOW = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


async def call(api: Api, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token or api.admin}"}
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    response: httpx.Response = await api.client.request(method, path, content=content, headers=headers)
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["access-control-allow-origin"] == "*"
    return response.status_code, response.json() if response.content else None


async def listed(api: Api, token: str | None = None) -> list[str]:
    _, answer = await call(api, "GET", "/api/sites", token=token)
    return sorted(site["id"] for site in answer["sites"])


async def test_a_site_is_added_shown_changed_and_removed(api: Api) -> None:
    status, site = await call(api, "POST", "/api/sites", {"domains": ["Shop.Example", "https://bücher.example/"]})
    assert status == 201
    assert re.fullmatch(r"site_[0-9a-f]{10}", site["id"])
    assert re.fullmatch(NOW, site["createdAt"])
    domains = ["shop.example", "xn--bcher-kva.example"]
    assert site == {
        "id": site["id"],
        "domain": domains[0],
        "domains": domains,
        "name": domains[0],
        "createdAt": site["createdAt"],
    }
    path = f"/api/sites/{site['id']}"
    assert await call(api, "GET", path) == (200, site)
    assert site["id"] in await listed(api)
    assert (await api.track({"siteId": site["id"]}, Origin="https://www.shop.example")).status_code == 200

    assert await call(api, "PATCH", path, {"name": "Shop"}) == (200, {**site, "name": "Shop"})
    changed = {**site, "name": "Shop", "domain": "a.example", "domains": ["a.example"]}
    assert await call(api, "PATCH", path, {"domains": ["a.example", "A.example"]}) == (200, changed)
    assert (await api.track({"siteId": site["id"]}, Origin="https://shop.example")).status_code == 403
    _, changed = await call(api, "PATCH", path, {"domains": ["BÜCHER.example", LONG[:253].upper()]})
    assert changed["domains"] == ["xn--bcher-kva.example", LONG[:253]]

    assert await call(api, "DELETE", path) == (204, None)
    for method, body in (("DELETE", None), ("GET", None), ("PATCH", {"name": "x"})):
        assert await call(api, method, path, body) == NOT_FOUND
    assert (await api.track({"siteId": site["id"]})).status_code == 404
    assert (await api.get(f"/api/realtime?siteId={site['id']}", api.read)).status_code == 403
    assert site["id"] not in await listed(api)


async def test_sites_are_added_together_or_not_at_all(api: Api) -> None:
    new = [{"domains": [f"{n}.example"], "id": f"new_{n}", "name": f"Nr. {n}"} for n in range(1_000)]
    taken = [*new[:-1], {"domains": ["x.example"], "id": "site_a"}]
    assert await call(api, "POST", "/api/sites", {"sites": taken}) == (409, {"error": "id: site_a is taken"})
    assert await listed(api) == ["site_a", "site_b"]
    status, answer = await call(api, "POST", "/api/sites", {"sites": new})
    assert (status, [site["id"] for site in answer["sites"]]) == (201, [site["id"] for site in new])
    assert len(await listed(api)) == 1_002


async def test_an_id_of_another_tenant_is_taken_like_an_own_one_also_after_its_removal(api: Api) -> None:
    await api.add_site("site_rival", tenant="rival")
    _, rival = await api.add_key("admin", tenant="rival")
    taken = (409, {"error": "id: site_rival is taken"})
    new = {"domains": ["a.example"], "id": "site_rival"}
    assert await call(api, "POST", "/api/sites", new) == taken
    assert await call(api, "POST", "/api/sites", new, rival) == taken
    assert await call(api, "DELETE", "/api/sites/site_rival", token=rival) == (204, None)
    assert await call(api, "POST", "/api/sites", new) == taken
    assert (await call(api, "POST", "/api/sites", new, rival))[0] == 201


LONG = ".".join(["a" * 63] * 4)  # 255 characters
WRONG_SITES = [
    ({}, "body: object missing required field domains"),
    ({"domains": []}, "domains: expected array of length >= 1"),
    ({"domains": "a.example"}, "domains: expected array, got str"),
    ({"domains": [7]}, "domains[0]: expected str, got int"),
    ({"domains": ["https://a.example/path"]}, "domains: 'https://a.example/path' is not a host name; "),
    ({"domains": ["a.example:8000"]}, "domains: "),
    ({"domains": [""]}, "domains: "),
    ({"domains": [LONG[:254]]}, "domains: "),
    ({"domains": ["a.example"] * 101}, "domains: expected array of length <= 100"),
    ({"domains": ["a.example"], "id": "a/b"}, "id: use 1 to 64 letters"),
    ({"domains": ["a.example"], "id": ""}, "id: use 1 to 64 letters"),
    ({"domains": ["a.example"], "id": "x" * 65}, "id: use 1 to 64 letters"),
    ({"domains": ["a.example"], "name": " "}, "name: use 1 to 500 characters"),
    ({"domains": ["a.example"], "name": "x" * 501}, "name: "),
    ({"domains": ["a.example"], "tenant": "rival"}, "body: object contains unknown field tenant"),
    ({"sites": []}, "sites: expected array of length >= 1"),
    ({"sites": [{"domains": ["a.example"]}, {"domains": ["/"]}]}, "sites[1].domains: "),
    ({"sites": [{"domains": ["a.example"], "id": "x"}] * 2}, "sites[1].id: the same as sites[0].id"),
    ({"sites": [{"domains": ["a.example"]}], "domains": ["a.example"]}, "body: object contains unknown field domains"),
    ([], "body: expected object, got array"),
    (b"{", "body: not JSON"),
]


@pytest.mark.any_engine
@pytest.mark.parametrize(("body", "error"), WRONG_SITES, ids=range(len(WRONG_SITES)))
async def test_a_wrong_site_is_refused_by_the_name_of_its_field(api: Api, body: Any, error: str) -> None:
    status, answer = await call(api, "POST", "/api/sites", body)
    assert (status, answer["error"][: len(error)]) == (400, error)
    assert await listed(api) == ["site_a", "site_b"]


async def test_more_than_a_thousand_sites_are_too_many(api: Api) -> None:
    body = {"sites": [{"domains": ["a.example"]}] * 1_001}
    assert await call(api, "POST", "/api/sites", body) == (413, {"error": "sites: at most 1000 in one request"})


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "body: give domains or name"),
        ({"name": None}, "body: give domains or name"),
        ({"domains": []}, "domains: expected array of length >= 1"),
        ({"domains": ["a b"]}, "domains: 'a b' is not a host name"),
        ({"domains": ["https://a.example/path"]}, "domains: 'https://a.example/path' is not a host name"),
        ({"domains": [LONG[:254]]}, "domains: "),
        ({"domain": "a.example"}, "body: object contains unknown field domain"),
        ({"tenant": "rival", "name": "x"}, "body: object contains unknown field tenant"),
        ({"removedAt": None, "name": "x"}, "body: object contains unknown field removedAt"),
        ({"name": ""}, "name: use 1 to 500"),
        ({"id": "other", "name": "x"}, "body: object contains unknown field id"),
        ({"createdAt": "x", "name": "x"}, "body: object contains unknown field createdAt"),
    ],
)
async def test_a_wrong_change_is_refused_by_the_name_of_its_field(api: Api, body: Any, error: str) -> None:
    for site_id in ("site_a", "unknown"):  # what is wrong is said before who may
        status, answer = await call(api, "PATCH", f"/api/sites/{site_id}", body)
        assert (status, answer["error"][: len(error)]) == (400, error)


async def test_keys_are_made_listed_and_revoked(api: Api) -> None:
    status, key = await call(api, "POST", "/api/keys", {"scope": "read", "siteId": "site_a", "expiresInDays": 30})
    token = key.pop("token")
    assert status == 201
    assert re.fullmatch("key_[0-9a-f]{10}", key["id"])
    assert all(re.fullmatch(NOW, key[name]) for name in ("createdAt", "expiresAt"))
    assert {"scope": "read", "siteId": "site_a", "revokedAt": None}.items() <= key.items()
    assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 200
    assert (await api.get("/api/realtime?siteId=site_b", token)).status_code == 403

    status, answer = await call(api, "GET", "/api/keys")
    assert (status, len(answer["keys"]), answer["keys"][-1]) == (200, 4, key)
    assert token not in str(answer)
    assert len({frozenset(one) for one in answer["keys"]}) == 1

    for _ in range(2):
        assert await call(api, "DELETE", f"/api/keys/{key['id']}") == (204, None)
        assert (await api.get("/api/realtime?siteId=site_a", token)).status_code == 401
    revoked = (await call(api, "GET", "/api/keys"))[1]["keys"][-1]
    assert re.fullmatch(NOW, revoked["revokedAt"])
    assert (await call(api, "POST", "/api/keys", {"scope": "admin"}))[1]["expiresAt"] is None


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "body: object missing required field scope"),
        ({"scope": "root"}, 400, "scope: invalid enum value 'root'"),
        ({"scope": "read", "expiresInDays": 0}, 400, "expiresInDays: use 1 to 36500"),
        ({"scope": "read", "expiresInDays": -1}, 400, "expiresInDays: use 1 to 36500"),
        ({"scope": "read", "expiresInDays": 10**9}, 400, "expiresInDays: use 1 to 36500"),
        ({"scope": "read", "expiresInDays": 1.5}, 400, "expiresInDays: expected int | null, got float"),
        ({"scope": "read", "tenant": "rival"}, 400, "body: object contains unknown field tenant"),
        ({"scope": "public"}, 400, "siteId: a key of scope public is bound to one site; name it"),
        ({"scope": "public", "siteId": ""}, 400, "siteId: a key of scope public is bound to one site; name it"),
        ({"scope": "public", "siteId": "site_rival"}, 404, "Not found"),
        ({"scope": "read", "siteId": "unknown"}, 404, "Not found"),
        ({"scope": "read", "siteId": "site_rival"}, 404, "Not found"),
        ({"scope": "read", "siteId": ""}, 404, "Not found"),
    ],
)
async def test_a_wrong_key_is_refused(api: Api, body: Any, status: int, error: str) -> None:
    await api.add_site("site_rival", tenant="rival")
    assert await call(api, "POST", "/api/keys", body) == (status, {"error": error})
    assert len((await call(api, "GET", "/api/keys"))[1]["keys"]) == 3


CALLS: list[tuple[str, str, Any]] = [
    ("POST", "/api/sites", {"domains": ["a.example"]}),
    ("GET", "/api/sites/site_a", None),
    ("PATCH", "/api/sites/site_a", {"name": "x"}),
    ("DELETE", "/api/sites/site_a", None),
    ("GET", "/api/keys", None),
    ("POST", "/api/keys", {"scope": "read"}),
    ("DELETE", "/api/keys/KEY", None),
]


async def test_only_an_admin_changes_anything(api: Api) -> None:
    key_id, _ = await api.add_key("read")
    for method, path, body in CALLS:
        for token in (api.read, api.write):
            assert await call(api, method, path.replace("KEY", key_id), body, token) == DENIED
        status, _ = await call(api, method, path, body, "ph_live_x")
        assert status == 401


async def test_what_is_foreign_looks_like_what_there_is_not(api: Api) -> None:
    await api.add_site("site_rival", tenant="rival")
    key_id, token = await api.add_key("read", tenant="rival")
    for method, path, body in CALLS:
        if path.count("/") == 3:
            place = path.rpartition("/")[0]
            for name in ("site_rival", key_id, "unknown", "%00", "a%2fb"):
                assert await call(api, method, f"{place}/{name}", body) == NOT_FOUND
    assert (await api.get("/api/realtime?siteId=site_rival", token)).status_code == 200


async def test_an_admin_key_bound_to_a_site_reaches_that_site_alone(api: Api) -> None:
    _, bound = await api.add_key("admin", site_id="site_a")
    for method, path, body in CALLS:
        if "site_a" not in path:
            assert await call(api, method, path, body, bound) == DENIED
        else:
            assert await call(api, method, path.replace("site_a", "site_b"), body, bound) == NOT_FOUND
    assert (await call(api, "PATCH", "/api/sites/site_a", {"name": "x"}, bound))[0] == 200
    assert await call(api, "DELETE", "/api/sites/site_a", None, bound) == (204, None)


async def test_every_change_is_one_line_with_key_call_and_object_and_no_token(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    admin_id, admin = await api.add_key("admin")
    caplog.set_level(logging.INFO, logger="app")
    await call(api, "POST", "/api/sites", {"domains": ["a.example"], "id": "x"}, admin)
    await call(api, "POST", "/api/sites", {"sites": [{"domains": ["a.example"], "id": i} for i in "yz"]}, admin)
    await call(api, "PATCH", "/api/sites/x", {"name": "n"}, admin)
    await call(api, "DELETE", "/api/sites/x", None, admin)
    await call(api, "DELETE", "/api/sites/x", None, admin)
    _, key = await call(api, "POST", "/api/keys", {"scope": "read"}, admin)
    await call(api, "DELETE", f"/api/keys/{key['id']}", None, admin)
    await call(api, "GET", "/api/keys", None, admin)
    assert caplog.messages == [
        f"{admin_id}: POST /api/sites x",
        f"{admin_id}: POST /api/sites y, z",
        f"{admin_id}: PATCH /api/sites x",
        f"{admin_id}: DELETE /api/sites x",
        f"{admin_id}: POST /api/keys {key['id']}",
        f"{admin_id}: DELETE /api/keys {key['id']}",
    ]
    assert "ph_live_" not in caplog.text


async def rows(api: Api, site_id: str) -> list[int]:
    tables = ("signals", "visitor_minutes", "recent_pageviews")
    site = f"reinterpretAsUInt128(SHA256('{site_id}'))"
    of_site = {"signals": f"site_id = '{site_id}'"}
    return [
        int(await api.select(f"SELECT count() FROM {table} WHERE {of_site.get(table, f'site = {site}')}"))
        for table in tables
    ]


async def test_another_worker_learns_of_a_removal_with_its_next_refresh(api: Api, make_api: MakeApi) -> None:
    other = await make_api()
    assert (await other.track({"siteId": "site_a"})).status_code == 200
    await call(api, "DELETE", "/api/sites/site_a")
    await other.store.refresh()
    assert (await other.track({"siteId": "site_a"})).status_code == 404
    assert (await other.get("/api/realtime?siteId=site_a", api.read)).status_code == 403
    assert (await make_api()).store.tenants.site("site_a") is None


async def test_the_rows_of_a_removed_site_are_deleted_from_every_table(
    api: Api, signals: Signals, make_api: MakeApi
) -> None:
    await signals((1, "ann", "/"), (2, "bob", "/"))
    await signals((1, "ann", "/"), site_id="site_b")
    await call(api, "DELETE", "/api/sites/site_a")
    await api.store.removals.clear_due()
    assert await rows(api, "site_a") == [2, 2, 2]  # a worker might still store some

    soon = await make_api(Settings(removal_delay_ms=1, directory_refresh_ms=600_000, directory_max_age_ms=600_000))
    while soon.store.tenants.to_clear:
        await soon.store.removals.clear_due()
    assert await rows(api, "site_a") == [0, 0, 0]
    assert await rows(api, "site_b") == [1, 1, 1]
    await api.store.refresh()
    assert not api.store.tenants.to_clear


async def test_a_site_that_is_added_again_starts_empty_and_keeps_what_it_stores(api: Api, signals: Signals) -> None:
    await signals((1, "ann", "/old"), (2, "bob", "/"))
    empty = await api.realtime("site_b")
    assert (await api.realtime("site_a")) != empty
    await call(api, "DELETE", "/api/sites/site_a")
    again = {"domains": ["example.com"], "id": "site_a"}
    assert (await call(api, "POST", "/api/sites", again))[0] == 201
    assert await api.realtime("site_a") == empty
    assert await rows(api, "site_a") == [0, 0, 0]
    await signals((1, "ann", "/new"))
    await api.store.removals.clear(["site_a"])  # as another worker does that has not heard of it
    assert (await api.realtime("site_a"))["pageBreakdown"] == {"/new": 1}
    _, shown = await call(api, "GET", "/api/realtime/overview")
    assert shown["total"]["activeVisitors"] == 1


async def test_a_removed_site_is_in_no_overview(api: Api) -> None:
    await api.track({"siteId": "site_a"})
    await call(api, "DELETE", "/api/sites/site_a")
    _, answer = await call(api, "GET", "/api/realtime/overview")
    assert [site["siteId"] for site in answer["sites"]] == ["site_b"]
    assert answer["total"] == {"sites": 1, "sitesWithVisitors": 0, "activeVisitors": 0, "pageviewsLast5Min": 0}


async def test_every_table_with_rows_of_sites_has_its_deletion(api: Api) -> None:
    tables = await api.select(
        "SELECT table FROM system.columns WHERE database = currentDatabase() AND name IN ('site_id', 'site') "
        "AND table NOT IN ('api_keys', 'pageviews') AND table NOT LIKE '%_mv'"
    )
    deleted = {name.removeprefix("removed/") for name in load_statements() if name.startswith("removed/")}
    assert deleted == set(tables.split())


async def test_of_workers_that_add_a_site_under_one_id_at_the_same_moment_one_does(api: Api, make_api: MakeApi) -> None:
    workers = [api, *[await make_api() for _ in range(3)]]
    tokens = [api.admin, *[(await api.add_key("admin", tenant))[1] for tenant in ("acme", "rival", "third")]]
    for worker in workers:
        await worker.store.refresh()
    own = [f"own_{number}" for number in range(4)]

    async def add(number: int) -> list[tuple[int, Any]]:
        worker, token = workers[number], tokens[number]
        calls: list[Any] = [
            {"domains": [f"{number}.example"], "id": "wanted"},
            {"sites": [{"domains": ["a.example"], "id": own[number]}, {"domains": ["a.example"], "id": "both"}]},
        ]
        return [await call(worker, "POST", "/api/sites", body, token) for body in calls]

    answers = await asyncio.gather(*map(add, range(4)))
    for wanted, taken in enumerate(("wanted", "both")):
        said = [answer[wanted] for answer in answers]
        assert sorted(status for status, _ in said) == [201, 409, 409, 409]
        assert [body for status, body in said if status == 409] == [{"error": f"id: {taken} is taken"}] * 3
    (first,) = [number for number in range(4) if answers[number][0][0] == 201]
    (second,) = [number for number in range(4) if answers[number][1][0] == 201]
    tenants = ["acme", "acme", "rival", "third"]
    stored = await api.select("SELECT id, tenant, domains[1] FROM sites FINAL WHERE id NOT LIKE 'site_%' ORDER BY id")
    assert stored.splitlines() == [
        f"both\t{tenants[second]}\ta.example",
        f"{own[second]}\t{tenants[second]}\ta.example",
        f"wanted\t{tenants[first]}\t{first}.example",
    ]


async def test_sites_that_were_deleted_by_hand_keep_no_others_out(api: Api) -> None:
    await api.execute("DELETE FROM sites WHERE 1")
    assert (await call(api, "POST", "/api/sites", {"domains": ["a.example"], "id": "site_a"}))[0] == 201


async def test_a_site_goes_back_to_what_it_was_before(api: Api) -> None:
    # The same rows again, which ClickHouse must not take for a repetition.
    for name in ("a", "b", "a", "b"):
        assert (await call(api, "PATCH", "/api/sites/site_a", {"name": name}))[1]["name"] == name
    for _ in range(2):
        assert await call(api, "DELETE", "/api/sites/site_b") == (204, None)
        assert (await call(api, "POST", "/api/sites", {"domains": ["example.org"], "id": "site_b"}))[0] == 201
