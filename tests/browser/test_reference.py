"""The API reference in a real browser: nothing is refused by its policy, and everybody can read it."""

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from axe_playwright_python.async_playwright import Axe

from tests.browser.conftest import LiveService, Visitors

pytestmark = pytest.mark.deep


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(service: LiveService, visitors: Visitors, scheme: str) -> None:
    page = await visitors.page(color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{service.url}/docs")
    found = await Axe().run(page)
    assert [violation["id"] for violation in found.response["violations"]] == [], found.generate_report()
    assert complaints == []


async def test_a_phone_needs_no_sideways_scrolling(service: LiveService, visitors: Visitors) -> None:
    page = await visitors.page(viewport={"width": 320, "height": 800})
    await page.goto(f"{service.url}/docs")
    assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_an_endpoint_is_one_click_away(service: LiveService, visitors: Visitors) -> None:
    page = await visitors.page()
    await page.goto(f"{service.url}/docs")
    await page.get_by_role("navigation").get_by_role("link", name="POST /api/track", exact=True).click()
    assert await page.evaluate("document.querySelector('#post_track').getBoundingClientRect().top") < 100
