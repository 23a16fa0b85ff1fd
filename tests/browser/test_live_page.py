"""The live page in a real browser: what it shows, how it fails and recovers, who can use it."""

import re
from urllib.parse import quote

import httpx
import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from axe_playwright_python.async_playwright import Axe

from tests.browser.conftest import LiveService, Visitors, shown
from tests.browser.staging import a_breakdown, an_answer, stage
from tests.kit.waiting import until

pytestmark = pytest.mark.deep


async def test_visitors_of_a_site_show_up_on_its_live_page(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_shop"))
    await shown(live, name="The Shop", health="Live")
    before = service.realtime("site_shop")["activeVisitors"]
    for path in ("one", "two", "two"):
        await (await visitors.page()).goto(f"{customer}site_shop/{path}")
    await shown(live, active=str(before + 3))
    rows = await live.locator("#parts li").all_inner_texts()
    assert {tuple(row.split("\n")[:2]) for row in rows} >= {("/site_shop/two", "2"), ("/site_shop/one", "1")}
    newest = await live.locator("#feed li .page").all_inner_texts()
    assert sorted(newest[:3]) == ["/site_shop/one", "/site_shop/two", "/site_shop/two"]
    assert await live.locator("#minutes li").count() == 5
    assert "ph_live" not in live.url
    assert visitors.complaints == []
    assert visitors.hosts == {httpx.URL(service.url).netloc.decode(), httpx.URL(customer).netloc.decode()}


async def test_the_live_page_asks_no_other_host_and_breaks_no_policy(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_quiet"))
    await shown(live, health="Live")
    assert visitors.hosts == {httpx.URL(service.url).netloc.decode()}
    assert visitors.complaints == []


async def test_an_empty_site_shows_the_line_to_install(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_quiet"))
    await shown(
        live,
        active="0",
        empty_title="Nobody here in the last five minutes",
        last_visit="Nobody has been here for two days, or ever. The next visitor appears here within seconds.",
        snippet=f'<script defer src="{service.url}/js/pulse.js" data-site="site_quiet"></script>',
    )


async def test_an_empty_site_says_when_its_last_visit_was(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(timezone_id="UTC", locale="en-GB")
    answers = await stage(live)
    answers.body, answers.minutes = an_answer(0), dict.fromkeys(range(125, 130), 1) | {1500: 3}
    await live.goto(service.page("site_shop"))
    await shown(live, last_visit="The last visitor was here 2 h ago (12:23). The next one appears here within seconds.")
    assert await live.locator("#snippet").is_hidden()
    await live.get_by_text("Install the tracker").click()
    assert await live.locator("#snippet").is_visible()


async def test_a_person_signs_in_and_out_and_the_token_is_the_tabs(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(f"{service.url}/")
    await live.get_by_label("Token").fill(service.token)
    await live.keyboard.press("Enter")
    await live.get_by_role("link", name="The Docs").click()
    await shown(live, health="Live", name="The Docs")
    assert live.url == f"{service.url}/?siteId=site_docs"
    await live.reload()
    await shown(live, health="Live", name="The Docs")
    assert await live.evaluate("localStorage.length") == 0
    other = await live.context.new_page()
    await other.goto(f"{service.url}/")
    assert await other.get_by_label("Token").is_visible()
    await live.get_by_role("button", name="Sign out").click()
    await live.reload()
    assert await live.get_by_label("Token").is_visible()
    assert await live.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


async def test_a_device_keeps_the_token_if_told_so_until_any_tab_signs_out(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    await live.goto(f"{service.url}/?siteId=site_docs")
    await live.get_by_label("Token").fill(service.token)
    await live.get_by_label("Keep me signed in on this device").check()
    await live.get_by_role("button", name="Open").click()
    await shown(live, health="Live")
    other = await live.context.new_page()
    await other.goto(f"{service.url}/?siteId=site_quiet")
    await shown(other, health="Live", name="Quiet")
    await other.get_by_role("button", name="Sign out").click()
    await live.get_by_label("Token").wait_for()
    assert await live.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


async def test_a_switch_of_sites_shows_the_numbers_of_the_new_one_only(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    await (await visitors.page()).goto(f"{customer}site_docs/only-here")
    live = await visitors.page()
    await live.goto(service.page("site_docs"))
    await live.locator("#parts li", has_text="/only-here").wait_for()
    await live.get_by_role("link", name="All sites").click()
    await live.get_by_role("link", name="Quiet").click()
    await shown(live, active="0", name="Quiet")
    assert await live.locator("#parts li").count() == 0
    await live.go_back()
    await live.go_back()
    await live.locator("#parts li", has_text="/only-here").wait_for()
    await shown(live, name="The Docs")


@pytest.mark.parametrize("token", ["ph_live_wrong", "nonsense"])
async def test_a_wrong_token_leads_back_to_the_form_with_the_reason(
    service: LiveService, visitors: Visitors, token: str
) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_shop", token=token))
    await shown(live, token_error="This token is not valid, or it has expired.")
    assert await live.evaluate("document.activeElement.id") == "token"
    assert await live.evaluate("sessionStorage.length") == 0


async def test_a_site_of_somebody_else_is_said_to_be_closed(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_other"))
    await shown(live, notice_title="This token may not see this site")
    await live.get_by_role("link", name="All sites").click()
    await live.get_by_role("link", name="Quiet").click()
    await shown(live, health="Live", name="Quiet")


async def test_a_token_that_may_only_write_is_refused_with_the_reason(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_shop", token=service.write_token))
    await shown(live, token_error="This token may not read any site. It needs the scope read or admin.")


async def test_a_failing_service_makes_the_page_stale_until_it_answers_again(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, active="3", health="Live")
    answers.status, answers.body, answers.headers = 503, {"error": "Busy"}, {"Retry-After": "30"}
    await live.clock.run_for(5_000)
    await live.locator("#banner", has_text="The server cannot answer right now.").wait_for()
    assert re.fullmatch(r"Stale, \d s old", await live.locator("#health").inner_text())
    assert await live.locator("#active").inner_text() == "3"
    asked = answers.asked
    await live.clock.run_for(20_000)
    assert answers.asked == asked, "Retry-After was 30 s"
    answers.status, answers.body, answers.headers = 200, an_answer(4), {}
    await live.clock.run_for(15_000)
    await shown(live, active="4", health="Live")
    assert await live.locator("#banner").is_hidden()


async def test_numbers_older_than_their_window_are_not_shown(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, digits="3")
    answers.broken = True
    await live.clock.run_for(301_000)
    await shown(live, digits="–")
    assert await live.locator("#parts").is_hidden()
    assert "too old to show" in await live.locator("#banner").inner_text()


async def test_offline_is_called_offline_and_ends_at_once(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("site_shop"))
    await shown(live, health="Live")
    await live.context.set_offline(True)
    await live.locator("#banner", has_text="You are offline.").wait_for()
    await live.context.set_offline(False)
    await shown(live, health="Live")


async def test_rows_of_equal_rank_keep_their_place_and_elements_stay(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(pageBreakdown={"/b": 2, "/a": 1})
    await live.goto(service.page("site_shop"))
    row = live.locator("#parts li", has_text="/b")
    await row.locator("a").wait_for()  # rows are made once more when the site's domain is known
    await row.evaluate("row => row.dataset.seen = 'before'")
    answers.body = an_answer(pageBreakdown={"/a": 2, "/b": 2, "/c": 1})
    await live.clock.run_for(5_000)
    await live.locator("#parts li", has_text="/c").wait_for()
    assert await live.locator("#parts .page").all_inner_texts() == ["/b", "/a", "/c"]
    assert await row.get_attribute("data-seen") == "before"


async def test_many_pages_are_folded_and_a_button_unfolds_them(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(130, pageBreakdown={f"/{number:03}": 1 for number in range(100)})
    await live.goto(service.page("site_shop"))
    button = live.get_by_role("button", name="Show 90 more")
    await button.wait_for()
    assert await live.locator("#parts li").count() == 10
    await button.click()
    assert await live.locator("#parts li").count() == 100
    assert await live.locator("#rest").inner_text() == "and 30 visitors on pages beyond the first 100"


async def test_what_visitors_send_is_shown_as_text(service: LiveService, visitors: Visitors) -> None:
    page_of_evil = "/<img src=x onerror=alert(1)>/%E2%80%AEevil/caf%C3%A9"
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(1, pageBreakdown={page_of_evil: 1, "/caf%C3%A9": 1})
    await live.goto(service.page("site_shop"))
    await shown(live, health="Live")
    assert await live.locator("#parts .page").all_inner_texts() == [page_of_evil, "/café"]
    assert visitors.complaints == []


ODD = "".join(
    map(
        chr,
        [0x7, 0x1B, 0x7F, 0x9B, 0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x206A)],
    )
) + "".join(map(chr, [0xFEFF, 0xFFF9, 0xE000, 0xE0041, 0x10FFFF]))


async def test_no_page_or_site_looks_like_another(service: LiveService, visitors: Visitors) -> None:
    """Characters of category C and ends of lines are shown encoded, wherever a text from elsewhere is shown."""
    live = await visitors.page()
    answers = await stage(live)
    disguised, odd = "/\u202eevil\u202c/txt.exe", f"/{ODD}"
    answers.body = an_answer(
        4,
        pageBreakdown={disguised: 2, odd: 1, "/caf%C3%A9": 1},
        recentPageviews=[{"page": disguised, "timestamp": "2024-12-10T14:32:15Z", "country": None}],
    )
    site = {"id": f"site_{ODD}", "domain": f"{ODD}.example", "domains": [], "name": "\u2067name\u2069"}
    await live.route("**/api/sites", lambda route: route.fulfill(json={"sites": [site]}))
    await live.goto(service.page(quote(f"site_{ODD}")))
    await shown(live, health="Live", name="%E2%81%A7name%E2%81%A9")
    assert await live.locator("#parts .page").all_inner_texts() == [
        "/%E2%80%AEevil%E2%80%AC/txt.exe",
        f"/{quote(ODD)}",
        "/café",
    ]
    assert await live.locator("#feed .page").all_inner_texts() == ["/%E2%80%AEevil%E2%80%AC/txt.exe"]
    everything = await live.evaluate(
        "document.title + document.body.textContent + [...document.querySelectorAll('[title]')].map(e => e.title)"
    )
    assert not set(everything) & set(ODD)
    assert visitors.complaints == []


async def test_a_site_of_the_address_is_shown_encoded_too(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page()
    await live.goto(service.page("%E2%80%AEevil"))
    await shown(live, notice_title="This token may not see this site")
    assert "There is no %E2%80%AEevil," in await live.locator("#notice-text").inner_text()


async def test_a_page_runs_from_left_to_right_whatever_it_is_written_in(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(2, pageBreakdown={"/\u05e9\u05dc/\u05e2\u05d5/\U0001f3e0": 2})
    await live.goto(service.page("site_shop"))
    page = live.locator("#parts .page")
    await page.wait_for()
    assert await page.inner_text() == "/\u05e9\u05dc/\u05e2\u05d5/\U0001f3e0"
    places = await page.evaluate("page => [...page.children].map(part => part.getBoundingClientRect().left)")
    assert places == sorted(places)


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("visitors_now", [0, 3, 1_234_567])
async def test_a_phone_needs_no_sideways_scrolling(
    service: LiveService, visitors: Visitors, width: int, visitors_now: int
) -> None:
    live = await visitors.page(viewport={"width": width, "height": 800})
    answers = await stage(live)
    answers.body = an_answer(visitors_now)
    if visitors_now > 3:
        answers.body["pageBreakdown"]["/" + "a-very-long-page-name-" * 20] = 5
    await live.goto(service.page("site_shop"))
    await shown(live, health="Live")
    assert await live.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["live", "empty", "stale", "signin", "filtered", "sites", "denied", "wall"])
async def test_axe_finds_nothing(service: LiveService, visitors: Visitors, scheme: str, state: str) -> None:
    live = await visitors.page(color_scheme=scheme, reduced_motion="reduce")
    answers = await stage(live)
    answers.body = an_answer(0 if state == "empty" else 3)
    answers.minutes = {age: age % 7 for age in range(2000)}
    answers.breakdowns = {"country": a_breakdown("country", ("DE", 2), (None, 1))}
    if state in ("signin", "denied"):
        await live.unroute_all()
    if state == "signin":
        await live.goto(f"{service.url}/")
        await live.get_by_text("How to get a token").click()
    elif state == "denied":
        await live.goto(service.page("site_other"))
        await live.locator("#notice-title").wait_for()
    else:
        more = {"filtered": "&tab=country&country=DE&page=/sale", "wall": "&kiosk"}.get(state, "")
        await live.goto(service.page("" if state == "sites" else "site_shop", more=more))
        await shown(live, health="Live")
    if state == "filtered":
        await live.locator("#parts li").first.wait_for()
    if state == "stale":
        answers.broken = True
        await live.clock.run_for(6_000)
        await live.locator("#banner").wait_for()
    found = await Axe().run(live)
    assert [violation["id"] for violation in found.response["violations"]] == [], found.generate_report()


async def test_screen_readers_are_told_of_changes_and_not_of_every_poll(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, announce="3 visitors, 6 pageviews")
    answers.body = an_answer(4)
    await live.clock.run_for(5_000)
    await shown(live, active="4")
    assert await live.locator("#announce").inner_text() == "3 visitors, 6 pageviews"
    for _ in range(6):
        await live.clock.run_for(5_000)
        await until(lambda seen=answers.asked: answers.asked >= seen)  # type: ignore[misc]
    await shown(live, announce="4 visitors, 8 pageviews")


async def test_reduced_motion_is_respected(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(reduced_motion="reduce")
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, active="3")
    answers.body = an_answer(8)
    await live.clock.run_for(5_000)
    await shown(live, active="8")
    assert await live.evaluate("document.getAnimations().length") == 0


async def test_everything_works_under_a_path_prefix(
    service: LiveService, prefix: str, prefix_customer: str, visitors: Visitors
) -> None:
    live = await visitors.page()
    await live.goto(f"{prefix}?siteId=site_docs#token={service.token}")
    await shown(live, health="Live")
    await (await visitors.page()).goto(f"{prefix_customer}site_docs/prefixed")
    await live.locator("#parts li", has_text="/prefixed").wait_for()
    assert visitors.complaints == []
    assert httpx.URL(service.url).netloc.decode() not in visitors.hosts
