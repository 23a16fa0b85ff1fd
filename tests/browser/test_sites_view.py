"""All sites of a token at a glance, and walls that show several in turn."""

from typing import Any

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from playwright.async_api import Page

from tests.browser.conftest import LiveService, Visitors, shown
from tests.browser.staging import NOW, an_answer, stage
from tests.kit.waiting import until

pytestmark = pytest.mark.deep


def an_overview(count: int, limit: int, busiest: int = 3000) -> dict[str, Any]:
    """The busiest site has most visitors, each further one less."""
    sites = [
        {
            "siteId": f"site_{number}",
            "domain": f"{number}.example",
            "name": f"Name {number}",
            "activeVisitors": max(0, busiest - number),
            "pageviewsLast5Min": 0,
            "visitorsPerMinute": [0, 1, 2, 3, 4],
        }
        for number in range(count)
    ]
    total = {"sites": count, "sitesWithVisitors": count, "activeVisitors": 4_501_500, "pageviewsLast5Min": 9}
    return {"sites": sites[:limit], "total": total, "timestamp": NOW}


async def thousands(page: Page, count: int = 3000, busiest: int = 3000) -> list[str]:
    """Put so many sites behind a page; return what it asks for."""
    asked: list[str] = []

    async def answer(route: Any) -> None:
        asked.append(route.request.url.partition("limit=")[2])
        await route.fulfill(json=an_overview(count, int(asked[-1]), busiest))

    sites = [
        {"id": f"site_{number}", "domain": f"{number}.example", "name": f"Name {number}"} for number in range(count)
    ]
    await page.clock.install()
    await page.route("**/api/realtime/overview?*", answer)
    await page.route("**/api/sites", lambda route: route.fulfill(json={"sites": sites}))
    return asked


async def test_all_sites_are_seen_at_a_glance_and_one_click_opens_one(service: LiveService, visitors: Visitors) -> None:
    service.track("site_shop", "/glance")
    live = await visitors.page()
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, health="Live")
    rows = live.locator("#site-list li")
    assert sorted(await rows.locator("bdi:first-child").all_inner_texts()) == ["Quiet", "The Docs", "The Shop"]
    assert await rows.first.locator(".mini i").count() == 5
    active = service.realtime("site_shop")["activeVisitors"]
    shop = rows.filter(has_text="The Shop")
    await shop.locator("b", has_text=str(active)).wait_for()
    assert await live.title() == f"{await live.locator('#all-active').inner_text()} · All sites"
    await shop.locator("a").click()
    await shown(live, health="Live", name="The Shop", active=str(active))
    assert live.url == f"{service.url}/?siteId=site_shop"
    await live.go_back()
    await shown(live, health="Live", all_sites="of 3 sites")
    assert visitors.complaints == []


async def test_thousands_of_sites_are_paged_and_found(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(locale="en-GB", reduced_motion="reduce")
    asked = await thousands(live)
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, all_active="4,501,500", all_sites="of 3,000 sites")
    rows = live.locator("#site-list li")
    assert await rows.count() == 60
    assert asked[0] == "100"
    await live.keyboard.press("/")
    await live.keyboard.type("name 2999")
    await rows.filter(has_text="Name 2999").wait_for()
    assert await rows.count() == 1
    await live.clock.run_for(5_000)
    await until(lambda: asked[-1] == "1000")
    # The service gives the busiest thousand; the others have at most as many visitors as the last of them.
    await rows.locator("b", has_text="≤ 2,001").wait_for()
    await live.get_by_label("Find a site").fill("nothing like it")
    await shown(live, sites_note="No site is called so.")
    await live.keyboard.press("Escape")
    await live.get_by_role("button", name="Show 120 more of 3,000").click()
    assert await rows.count() == 180
    await live.get_by_role("button", name="Show 1,000 more of 3,000").click()
    assert await rows.count() == 1180
    assert visitors.complaints == []


async def test_sites_that_are_cut_off_behind_quiet_ones_have_no_visitors(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    await thousands(live, busiest=50)
    await live.goto(service.page().replace("?siteId=", ""))
    await live.get_by_label("Find a site").fill("name 2999")
    await live.locator("#site-list li", has_text="Name 2999").wait_for()
    assert await live.locator("#site-list b").inner_text() == "0"


async def test_arrow_keys_walk_through_the_sites(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(viewport={"width": 1280, "height": 900})
    await thousands(live, 7)
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, health="Live")
    focus = "document.activeElement.querySelector?.('bdi')?.textContent ?? document.activeElement.id"
    for key, expected in (
        ("/", "find"),
        ("ArrowDown", "Name 0"),
        ("ArrowRight", "Name 1"),
        ("ArrowDown", "Name 4"),
        ("ArrowLeft", "Name 3"),
        ("ArrowUp", "Name 0"),
        ("ArrowUp", "find"),
        ("ArrowDown", "Name 0"),
        ("Escape", "find"),
    ):
        await live.keyboard.press(key)
        assert await live.evaluate(focus) == expected, key
    await live.keyboard.press("Enter")
    await live.wait_for_url("**/?siteId=site_0")


async def test_a_slash_leads_from_a_site_to_the_search(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_docs"))
    await shown(live, health="Live")
    await live.keyboard.press("/")
    await live.keyboard.type("quiet")
    await live.locator("#site-list li", has_text="Quiet").wait_for()
    await live.keyboard.press("Enter")
    await shown(live, name="Quiet", active="0")


async def test_a_token_of_one_site_lands_on_it(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    only = an_overview(1, 1)
    only["sites"][0]["siteId"] = "site_docs"
    await live.route("**/api/realtime/overview?*", lambda route: route.fulfill(json=only))
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, health="Live", name="The Docs")
    assert live.url == f"{service.url}/?siteId=site_docs"


async def test_a_token_without_sites_is_told_so(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.route("**/api/realtime/overview?*", lambda route: route.fulfill(json=an_overview(0, 1)))
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, notice_title="No site yet")


@pytest.mark.parametrize("width", [320, 768, 1280, 3840])
async def test_the_overview_fits_any_width(service: LiveService, visitors: Visitors, width: int) -> None:
    live = await visitors.page(viewport={"width": width, "height": 800})
    await thousands(live)
    await live.goto(service.page().replace("?siteId=", ""))
    await shown(live, health="Live")
    assert await live.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (3840, 2160), (1080, 1920)])
async def test_a_wall_shows_no_controls_and_cuts_nothing(
    service: LiveService, visitors: Visitors, width: int, height: int
) -> None:
    wall = await visitors.page(viewport={"width": width, "height": height})
    answers = await stage(wall)
    answers.body = an_answer(100, pageBreakdown={f"/{number:03}": 1 for number in range(100)})
    await wall.goto(service.page("site_shop", more="&kiosk&theme=dark"))
    await shown(wall, active="100")
    assert wall.url == f"{service.url}/?siteId=site_shop&kiosk&theme=dark"
    assert await wall.get_by_role("button").count() == 0
    assert await wall.locator("#clock").is_visible()
    assert await wall.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert await wall.evaluate("document.documentElement.scrollHeight") == height
    cut = await wall.evaluate(
        """[...document.querySelectorAll("#parts li, #feed li")].filter(row => {
            const list = row.parentElement.getBoundingClientRect(), box = row.getBoundingClientRect();
            return box.left < list.right && box.top < list.bottom && box.bottom > list.bottom + 1;
        }).length"""
    )
    assert cut == 0


async def test_a_wall_shows_several_sites_in_turn(service: LiveService, visitors: Visitors) -> None:
    service.track("site_docs", "/on-the-wall")
    wall = await visitors.page()
    await wall.clock.install()
    await wall.goto(service.page("site_docs", more="&siteId=site_quiet&kiosk&rotate=20"))
    await shown(wall, health="Live", name="The Docs")
    await wall.clock.run_for(20_000)
    await shown(wall, health="Live", name="Quiet", active="0")
    assert await wall.locator("#turns i").count() == 2
    await wall.clock.run_for(20_000)
    await shown(wall, name="The Docs")
    await wall.locator("#parts li", has_text="/on-the-wall").wait_for()
    assert visitors.complaints == []


async def test_a_wall_of_all_sites_of_the_token(service: LiveService, visitors: Visitors) -> None:
    wall = await visitors.page(viewport={"width": 1920, "height": 1080})
    await thousands(wall)
    await wall.goto(service.page().replace("?siteId=", "?kiosk"))
    await shown(wall, health="Live")
    assert await wall.locator("#find").is_hidden()
    assert await wall.evaluate("document.documentElement.scrollHeight") == 1080
