"""One site in parts: its line, tabs and filters, and how the address keeps them."""

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from tests.browser.conftest import LiveService, Visitors, shown
from tests.browser.staging import a_breakdown, an_answer, stage
from tests.kit.waiting import until


async def test_the_line_has_today_yesterday_and_the_peak(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(timezone_id="UTC", locale="en-GB", reduced_motion="reduce")
    answers = await stage(live)
    answers.minutes = dict.fromkeys(range(1, 2000), 10) | {90: 40, 1440: 25, 1441: 30}
    await live.goto(service.page("site_shop"))
    note = live.locator("#line-note")
    await live.locator("#line-note", has_text="Yesterday at this time 25").wait_for()
    assert (await note.inner_text()).split("\n") == ["Today’s peak 40 at 13:02", "Yesterday at this time 25"]
    label = "Visitors over 30 minutes: between 3 and 10; today’s peak 40 at 13:02"
    assert await live.locator("#line").get_attribute("aria-label") == label
    assert await live.locator("#line .axis span").all_inner_texts() == ["14:10", "14:20", "14:30"]
    await live.locator("#line .field-of-line").hover(position={"x": 1, "y": 20})
    await live.locator("#line-note", has_text="14:03 10 visitors").wait_for()
    await live.get_by_role("button", name="24 hours").click()
    assert live.url.endswith("?siteId=site_shop&range=day")
    assert (await live.locator("#line").get_attribute("aria-label") or "").startswith("Visitors over 24 hours")
    assert await live.locator("#line i.peak").is_visible()
    await live.reload()
    assert await live.get_by_role("button", name="24 hours").get_attribute("aria-pressed") == "true"
    assert visitors.complaints == []


async def test_the_minute_in_progress_is_marked_and_says_now_only_while_it_is(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page(timezone_id="UTC", locale="en-GB")
    answers = await stage(live)
    await live.goto(service.page("site_shop"))
    await shown(live, active="3")
    labels = live.locator("#minutes .label")
    assert await labels.all_inner_texts() == ["14:28", "14:29", "14:30", "14:31", "now"]
    assert await live.locator("#minutes .unfinished").count() == 1
    answers.broken = True
    await live.clock.run_for(5_000)
    await live.locator("#banner", has_text="These are the numbers of 14:32:").wait_for()
    assert await labels.all_inner_texts() == ["14:28", "14:29", "14:30", "14:31", "14:32"]


async def test_a_share_is_a_part_of_all_active_visitors(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(locale="en-GB")
    answers = await stage(live)
    answers.body = an_answer(1000, pageBreakdown={"/": 500, **{f"/{number}": 1 for number in range(99)}})
    await live.goto(service.page("site_shop"))
    row = live.locator("#parts li")
    assert (await row.nth(0).inner_text()).split() == ["/", "500", "50%"]
    assert (await row.nth(1).inner_text()).split() == ["/0", "1", "<1%"]
    bars = await live.evaluate(
        "[...document.querySelectorAll('#parts .line')].map(e => e.style.getPropertyValue('--v'))"
    )
    assert bars[:2] == ["0.5", "0.001"]


async def test_tabs_show_sources_countries_and_campaigns(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(locale="fr-FR")
    answers = await stage(live)
    answers.breakdowns = {
        "referrer": a_breakdown("referrer", ("news.example", 2), (None, 1)),
        "country": a_breakdown("country", ("DE", 2), (None, 1)),
        "utmCampaign": a_breakdown("utmCampaign", (None, 3)),
    }
    await live.goto(service.page("site_shop"))
    names = live.locator("#parts .pick")
    for tab, expected in (
        ("Sources", ["news.example", "Direct or not known"]),
        ("Countries", ["🇩🇪Allemagne", "Not known"]),
        ("Campaigns", ["No campaign"]),
        ("Pages", ["/", "/pricing"]),
    ):
        await live.get_by_role("tab", name=tab).click()
        await names.first.wait_for()
        assert await names.evaluate_all("names => names.map(name => name.textContent)") == expected
    await live.keyboard.press("ArrowLeft")
    await names.filter(has_text="No campaign").wait_for()
    assert live.url.endswith("?siteId=site_shop&tab=utmCampaign")
    assert answers.filters == [{}, {}, {}, {}]
    assert visitors.complaints == []


async def test_a_click_keeps_the_visitors_of_a_value_and_back_lets_them_all_in(
    service: LiveService, visitors: Visitors
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(9)
    answers.breakdowns = {"country": a_breakdown("country", ("DE", 2)), "page": a_breakdown("page", ("/", 2))}
    await live.goto(service.page("site_shop", more="&tab=country"))
    await live.locator("#parts button", has_text="Germany").click()
    await shown(live, active="2", active_label="of 9 visitors", pageviews_label="pageviews of theirs")
    assert live.url.endswith("?siteId=site_shop&tab=country&country=DE")
    assert answers.filters[-1] == {"country": "DE"}
    assert await live.locator("#course-title").inner_text() == "All active visitors over time"
    await live.get_by_role("tab", name="Pages").click()
    await live.locator("#parts button", has_text="/").click()
    await until(lambda: answers.filters[-1] == {"country": "DE", "page": "/"})
    chips = live.locator("#chips .chip")
    assert [" ".join(chip.split()) for chip in await chips.all_inner_texts()] == ["Page: /", "Country: 🇩🇪Germany"]
    await live.go_back()
    await until(lambda: answers.filters[-1] == {"country": "DE"})
    await live.get_by_role("button", name="Remove the filter Country: ").click()
    await shown(live, active="9", active_label="visitors")
    assert live.url.endswith("?siteId=site_shop")
    await live.go_back()
    await shown(live, active="2")
    assert visitors.complaints == []


async def test_filtered_numbers_are_those_of_the_service(service: LiveService, visitors: Visitors) -> None:
    for page in ("/mine", "/mine", "/other"):
        await (await visitors.page()).request.post(
            f"{service.url}/api/track",
            data={"siteId": "site_docs", "path": page},
            headers={"User-Agent": f"Mozilla/5.0 (X11; Linux x86_64; rv:{page[1:]}) Firefox/{id(page)}"},
        )
    live = await visitors.page()
    await live.goto(service.page("site_docs", more="&page=/mine"))
    await shown(live, health="Live")
    told = service.breakdown("site_docs", by="page", page="/mine")
    await shown(live, active=str(told["activeVisitors"]), pageviews=str(told["pageviews"]))
    service.track("site_docs", "/mine")
    told = service.breakdown("site_docs", by="page", page="/mine")
    await shown(live, active=str(told["activeVisitors"]), pageviews=str(told["pageviews"]))


@pytest.mark.parametrize(
    ("page", "href"),
    [
        ("/pricing", "https://127.0.0.1/pricing"),
        ("//evil.example/x", "https://127.0.0.1//evil.example/x"),
        ("/a?b#c", "https://127.0.0.1/a%3Fb%23c"),
        ("javascript:alert(1)", "https://127.0.0.1/javascript:alert(1)"),
    ],
)
async def test_a_path_links_to_the_page_and_to_no_other_host(
    service: LiveService, visitors: Visitors, page: str, href: str
) -> None:
    live = await visitors.page()
    answers = await stage(live)
    answers.body = an_answer(1, pageBreakdown={page: 1})
    await live.goto(service.page("site_shop"))
    link = live.get_by_role("link", name=f"Open {page} in a new tab")
    assert await link.get_attribute("href") == href
    assert await link.get_attribute("rel") == "noopener noreferrer"


async def test_a_breakdown_that_fails_says_how_old_it_is(service: LiveService, visitors: Visitors) -> None:
    live = await visitors.page(timezone_id="UTC")
    answers = await stage(live)
    answers.breakdowns = {"country": a_breakdown("country", ("DE", 2))}
    await live.goto(service.page("site_shop", more="&tab=country"))
    await live.locator("#parts li").wait_for()
    answers.breakdowns.clear()
    await live.clock.run_for(5_000)
    await shown(live, parts_note="No answer right now. These are of 14:32:20.")
    assert await live.locator("#parts li").count() == 1
