"""GET /api/sites: what a token reaches, made once while nothing changes."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from tests.conftest import Api


async def ids(api: Api, token: str) -> list[Any]:
    response = await api.get("/api/sites", token)
    assert response.status_code == 200, response.text
    return [site["id"] for site in response.json()["sites"]]


async def test_a_list_is_made_once_for_all_who_may_read_the_same_until_a_site_changes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mock(side_effect=api.store.tenants.sites_of)
    monkeypatch.setattr(api.store.tenants, "sites_of", made)
    lists = await asyncio.gather(*(ids(api, token) for token in (api.read, api.admin, api.read, api.admin)))
    assert lists == [["site_a", "site_b"]] * 4
    await api.store.refresh()
    assert await ids(api, api.read) == ["site_a", "site_b"]
    assert made.call_count == 1

    await api.add_site("site_c", domain="a.example")
    assert await ids(api, api.read) == ["site_c", "site_a", "site_b"]
    assert made.call_count == 2


async def test_a_list_is_of_one_tenant_or_of_the_site_that_the_key_is_bound_to(api: Api) -> None:
    await api.add_site("site_r", tenant="rival", domain="rival.example")
    _, rival = await api.add_key("read", tenant="rival")
    _, bound = await api.add_key("read", site_id="site_b")
    _, foreign = await api.add_key("read", tenant="rival", site_id="site_b")
    reaches = {api.read: ["site_a", "site_b"], rival: ["site_r"], bound: ["site_b"], foreign: []}
    for _ in range(2):
        assert {token: await ids(api, token) for token in reaches} == reaches
