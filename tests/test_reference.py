"""GET /docs: the reference names everything that the OpenAPI document does, and loads nothing from elsewhere."""

import re
from html import unescape
from typing import Any

import pytest

from app.http.reference import SHOWN, make_reference
from tests.conftest import Api


@pytest.fixture
async def page(api: Api) -> str:
    response = await api.get("/docs")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    return response.text


async def operations(api: Api) -> dict[str, Any]:
    """What the document describes, by method and path; but for the document and the reference themselves."""
    document = (await api.get("/openapi/openapi.json")).json()
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in SHOWN and path not in ("/docs", "/openapi/openapi.json")
    }


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.mark.any_engine
async def test_it_has_a_section_for_each_operation_with_its_parameters_and_answers(api: Api, page: str) -> None:
    sections = {
        plain(title): text
        for title, text in re.findall(r"<section[^>]*><h3>(.*?)</h3>(.*?)</section>", page, re.DOTALL)
    }
    described = await operations(api)
    assert sections.keys() == described.keys()
    for name, operation in described.items():
        text = plain(sections[name])
        told = [operation["summary"].replace("`", ""), *operation["responses"]]
        told += [parameter["name"] for parameter in operation.get("parameters", [])]
        assert [word for word in told if word not in text] == [], name


@pytest.mark.any_engine
async def test_it_names_the_fields_of_bodies_and_answers_at_any_depth(page: str) -> None:
    named = set(re.findall(r"<dt><code>(.*?)</code>", page))
    assert named >= {
        "activeVisitors",
        "recentPageviews[].country",
        "answers.*.visitorsPerMinute[].minute",  # of a batch
        "sites[].siteId",  # of an overview
        "total.sitesWithVisitors",
        "events[].utm.source",  # of signals
        "utm.source",
        "keys[].revokedAt",
    }


@pytest.mark.any_engine
async def test_links_within_it_lead_somewhere_and_none_leads_to_another_host(page: str) -> None:
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} == set(ids)
    assert {link for link in links if not link.startswith("#")} == {
        "./",
        "docs.css",
        "favicon.svg",
        "openapi/openapi.json",
    }
    assert "<script" not in page
    assert "style=" not in page


def test_what_the_document_says_is_text_and_never_markup() -> None:
    bad = '<b>&"x'
    schema = {"type": "object", "properties": {bad: {"enum": [bad], "description": f"`{bad}`"}}}
    answer = {"description": bad, "headers": {bad: {}}, "content": {bad: {"schema": schema}}}
    operation = {
        "operationId": "get_bad",
        "summary": bad,
        "description": bad,
        "parameters": [{"name": bad, "in": bad, "required": True, "schema": {"type": bad}, "description": bad}],
        "responses": {"200": answer, "400": answer},
    }
    document = {"info": {"description": bad}, "paths": {f"/{bad}": {"get": operation}}}
    assert bad not in make_reference(document)
    assert "&lt;b&gt;&amp;&quot;x" in make_reference(document)
