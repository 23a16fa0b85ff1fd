"""How the live page follows a site: pushed, polled where nothing arrives, slowly in a tab that nobody sees."""

import re

import httpx
import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from playwright.async_api import Page, Request

from tests.browser.conftest import LiveService, Visitors, hide, shown
from tests.browser.staging import an_answer, stage, without_push
from tests.kit.waiting import until

pytestmark = pytest.mark.deep


class Asked:
    """What a page asks for, by path."""

    def __init__(self, page: Page) -> None:
        self.paths: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.paths.append(httpx.URL(request.url).path)

    @property
    def polls(self) -> int:
        return self.paths.count("/api/realtime")

    @property
    def streams(self) -> int:
        return self.paths.count("/api/realtime/stream")


async def titled(page: Page, title: str) -> None:
    """Wait until the tab has this title."""
    await page.wait_for_function("title => document.title === title", arg=title)


async def test_numbers_are_pushed_and_nothing_is_polled(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    asked = Asked(live)
    await live.goto(service.page("site_docs"))
    await shown(live, health="Live")
    for page in ("/pushed-1", "/pushed-2"):
        service.track("site_docs", page)
        await live.locator("#feed .page", has_text=page).wait_for()
    assert (asked.streams, asked.polls) == (1, 0)


async def test_where_a_proxy_holds_the_stream_back_the_page_polls(
    service: LiveService, prefix: str, visitors: Visitors
) -> None:
    live = await visitors.page()
    asked = Asked(live)
    await live.goto(f"{prefix}?siteId=site_docs#token={service.token}")
    await shown(live, health="Live")
    service.track("site_docs", "/polled")
    await live.locator("#feed .page", has_text="/polled").wait_for()
    assert asked.paths.count("/stats/api/realtime/stream") == 1
    assert asked.paths.count("/stats/api/realtime") >= 2


async def test_a_stream_that_ends_is_opened_again(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    asked = Asked(live)
    await live.clock.install()
    event = f'event: realtime\ndata: {{"siteId": "site_docs", "answer": {httpx.Response(200, json=an_answer()).text}}}'
    body = f"{event}\n\nretry: 1500\n\n"
    await live.route("**/stream?*", lambda route: route.fulfill(content_type="text/event-stream", body=body), times=2)
    await live.goto(service.page("site_docs"))
    await shown(live, active="3")
    await live.clock.run_for(1_500)
    await until(lambda: asked.streams == 2)
    assert asked.polls == 0


async def test_an_error_in_the_stream_is_judged_by_a_poll(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    body = 'event: error\ndata: {"error": "Temporarily unavailable, try again"}\n\n'
    await live.route("**/stream?*", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    headers = {"Retry-After": "30"}
    await live.route("**/api/realtime?*", lambda route: route.fulfill(status=503, json={}, headers=headers))
    await live.goto(service.page("site_docs"))
    await live.locator("#banner", has_text="Nothing is known yet. Next try in").wait_for()
    assert await live.locator("#digits").inner_text() == "–"


async def test_a_revoked_key_ends_the_stream_at_the_form(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_docs"))
    await shown(live, health="Live")
    await live.route("**/api/realtime?*", lambda route: route.fulfill(status=401, json={"error": "Invalid"}))
    body = 'event: error\ndata: {"error": "Invalid or expired token"}\n\n'
    await live.route("**/stream?*", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    await hide(live, True)
    await hide(live, False)
    await shown(live, token_error="This token is not valid, or it has expired.")


async def test_a_hidden_tab_asks_once_a_minute_and_shows_the_number_in_title_and_icon(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, active="3")
    await hide(live, True)
    asked = answers.asked
    answers.body = an_answer(7)
    await live.clock.run_for(59_000)
    assert answers.asked == asked
    await live.clock.run_for(1_000)
    await until(lambda: answers.asked == asked + 1)
    await titled(live, "7 · The Shop")
    icon = live.locator("link[rel=icon]")
    assert re.match("data:image/png;base64,", await icon.get_attribute("href") or "")
    answers.broken = True
    await live.clock.run_for(60_000)
    await titled(live, "Not up to date · The Shop")
    answers.broken, answers.body = False, an_answer(8)
    await hide(live, False)
    await shown(live, active="8")
    assert await icon.get_attribute("href") == "favicon.svg"


async def test_a_tab_seen_again_catches_up_at_once(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await without_push(live)
    await live.goto(service.page("site_docs"))
    await shown(live, health="Live")
    await hide(live, True)
    service.track("site_docs", "/while-hidden")
    await hide(live, False)
    await live.locator("#feed .page", has_text="/while-hidden").wait_for()
