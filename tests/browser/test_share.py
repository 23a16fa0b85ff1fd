"""What everybody may see of a site: the frame in somebody's page, the badge, and the link."""

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route

from tests.browser.conftest import LiveService, Visitors, shown
from tests.browser.staging import an_answer

pytestmark = pytest.mark.deep


FRAME = """url => new Promise(loaded => {
    const frame = document.createElement("iframe");
    Object.assign(frame, {src: url, title: "Visitors right now", width: 320, height: 96, onload: loaded});
    document.body.append(frame);
})"""
BADGE = """url => new Promise(done => {
    const image = new Image();
    Object.assign(image, {src: url, onload: () => done([image.width, image.height]), onerror: () => done(null)});
})"""
PARTS = ("pageBreakdown", "recentPageviews")


class Numbers:
    """Answers what a public token may ask for, and notes what else is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = {name: value for name, value in an_answer(7).items() if name not in PARTS}
        self.others: list[str] = []

    async def answer(self, route: Route) -> None:
        if "/api/realtime/numbers?siteId=site_shop" not in route.request.url:
            self.others.append(route.request.url)
        await route.fulfill(status=self.status, json=self.body)


async def stage(page: Page) -> Numbers:
    """Put a stand-in behind a page, and its clock into the test's hands."""
    numbers = Numbers()
    await page.clock.install()
    await page.route("**/api/**", numbers.answer)
    return numbers


def embed(service: LiveService, more: str = "") -> str:
    return f"{service.url}/embed?siteId=site_shop&key={service.public_token}{more}"


async def test_a_page_of_another_origin_frames_the_number_and_shows_the_badge(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    service.track("site_shop", "/")
    page = await visitors.page()
    await page.goto(f"{customer}site_shop/page")
    await page.evaluate(FRAME, embed(service))
    frame = page.frame_locator("iframe")
    await frame.locator("[data-health=live]").wait_for()
    assert int(await frame.locator("#active").inner_text()) >= 1
    assert await frame.locator("#minutes li").count() == 5
    badge = f"{service.url}/badge.svg?siteId=site_shop&key="
    assert await page.evaluate(BADGE, badge + service.public_token) == [112, 20]
    assert visitors.complaints == []
    # With the status of an error it is a picture all the same, a grey one.
    assert await page.evaluate(BADGE, f"{badge}ph_public_x") == [160, 20]


async def test_a_page_of_another_origin_cannot_frame_the_live_page(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    await page.goto(f"{customer}site_shop/page")
    await page.evaluate(FRAME, service.page("site_shop", token=service.public_token))
    assert await page.frame_locator("iframe").locator("#digits").count() == 0
    assert any("frame-ancestors" in line for line in visitors.complaints)


@pytest.mark.parametrize(
    ("theme", "ground", "ink"),
    [
        ("light", "rgb(248, 246, 241)", "rgb(29, 27, 24)"),
        ("dark", "rgb(17, 19, 26)", "rgb(241, 236, 226)"),
        ("transparent", "rgba(0, 0, 0, 0)", "rgb(29, 27, 24)"),
        ("transparent-dark", "rgba(0, 0, 0, 0)", "rgb(241, 236, 226)"),
        ("other", "rgb(17, 19, 26)", "rgb(241, 236, 226)"),
    ],
)
async def test_a_frame_has_its_theme_whatever_the_reader_has(
    service: LiveService, visitors: Visitors, theme: str, ground: str, ink: str
) -> None:
    page = await visitors.page(color_scheme="dark", viewport={"width": 320, "height": 96})
    await stage(page)
    await page.goto(embed(service, f"&theme={theme}"))
    await shown(page, active="7", caption="visitors right now")
    colours = "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(digits).color]"
    assert await page.evaluate(colours) == [ground, ink]
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert await page.evaluate(size) == [320, 96]
    if not theme.startswith("transparent"):  # axe takes white for what is behind them
        found = await Axe().run(page)
        assert found.response["violations"] == []
    assert visitors.complaints == []


async def test_a_frame_never_takes_an_old_number_for_a_new_one(service: LiveService, visitors: Visitors) -> None:
    page = await visitors.page(timezone_id="UTC")
    numbers = await stage(page)
    await page.goto(embed(service))
    await shown(page, active="7")
    numbers.status = 503
    await page.clock.run_for(6_000)
    await page.locator("[data-health=stale] #caption", has_text="; no answer now").wait_for()
    await page.clock.run_for(300_000)
    await shown(page, active="Not known:", caption="Not known: no answer for over five minutes.")
    numbers.status = 200
    await page.clock.run_for(6_000)
    await shown(page, active="7", caption="visitors right now")
    numbers.status = 401
    await page.clock.run_for(6_000)
    await shown(page, active="Not known:", caption="This number is not shown any more.")


async def test_a_link_shows_number_and_bars_and_asks_for_nothing_else(service: LiveService, visitors: Visitors) -> None:
    page = await visitors.page()
    numbers = await stage(page)
    await page.goto(service.page("site_shop", token=service.public_token))
    await shown(page, active="7", active_label="visitors", pageviews="14", health="Live")
    assert page.url == f"{service.url}/?siteId=site_shop"
    for part in ("#minutes", "#digits"):
        assert await page.locator(part).is_visible()
    for part in (".course", ".parts", ".feed", ".of-site", "#crumb", "#leave", "#chips", "#empty"):
        assert not await page.locator(part).is_visible(), part
    found = await Axe().run(page)
    assert found.response["violations"] == []
    assert numbers.others == []
    numbers.status = 401
    await page.clock.run_for(6_000)
    await shown(page, notice_title="This link does not hold any more")
    assert await page.locator("#digits").is_hidden()
    assert [line for line in visitors.complaints if "401" not in line] == []


async def test_a_link_reads_what_the_service_says(service: LiveService, visitors: Visitors) -> None:
    page = await visitors.page()
    await page.goto(service.page("site_shop", token=service.public_token))
    await shown(page, health="Live")
    service.track("site_shop", "/shared")
    expected = str(service.realtime("site_shop")["activeVisitors"])
    await shown(page, active=expected)
    await page.goto(service.page("site_docs", token=service.public_token))
    await shown(page, notice_text="Its token may not see this site.")
