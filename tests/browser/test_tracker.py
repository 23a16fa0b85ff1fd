"""The tracker in a real browser, on a customer's page of another origin."""

import json
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from playwright.async_api import Page, Request

from tests.browser.conftest import LiveService, Visitors, hide
from tests.kit.waiting import until


class Wire:
    """What a page sends to the service."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request) if "/api/" in request.url else None)

    @property
    def signals(self) -> list[dict[str, Any]]:
        return [json.loads(request.post_data or "{}") for request in self.requests]

    @property
    def pages(self) -> list[str]:
        return [signal["path"] for signal in self.signals if signal["type"] == "pageview"]


async def test_a_page_is_counted_at_once_in_one_request_without_preflight(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/landing?utm_source=mail&utm_medium=x&utm_term=y&secret=1#part")
    await until(lambda: len(wire.requests) == 1)
    request = wire.requests[0]
    assert (request.method, request.url) == ("POST", f"{service.url}/api/track")
    assert request.headers["content-type"].startswith("text/plain")
    assert wire.signals == [
        {
            "type": "pageview",
            "referrer": "",
            "utm": {"source": "mail", "medium": "x"},
            "siteId": "site_shop",
            "path": "/site_shop/landing",
        }
    ]
    await until(lambda: "/site_shop/landing" in service.realtime("site_shop")["pageBreakdown"])
    assert await page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert visitors.complaints == []


async def test_navigation_inside_a_single_page_application_is_counted_once_each(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/app")
    await until(lambda: len(wire.pages) == 1)
    await page.evaluate(
        """() => {
            history.pushState(null, "", "/site_shop/app/list");
            history.pushState(null, "", "/site_shop/app/list?sort=name");  // the same page
            history.replaceState(null, "", "/site_shop/app/list#row-3");   // the same page
            history.replaceState(null, "", "/site_shop/app/detail");
        }"""
    )
    await page.go_back()
    await until(lambda: len(wire.pages) == 4)
    assert [path.removeprefix("/site_shop") for path in wire.pages] == ["/app", "/app/list", "/app/detail", "/app/list"]


async def test_hash_routes_are_pages_by_option_only(customer: str, visitors: Visitors) -> None:
    for options, expected in (("", ["/site_shop/h"]), ("data-hash", ["/site_shop/h", "/site_shop/h/users/3"])):
        page = await visitors.page()
        wire = Wire(page)
        await page.goto(f"{customer}site_shop/h?options={options}")
        await until(lambda wire=wire: len(wire.pages) == 1)  # type: ignore[misc]
        await page.evaluate("location.hash = '#top'")
        await page.evaluate("location.hash = '#/users/3?tab=1'")
        await until(lambda wire=wire, expected=expected: wire.pages == expected)  # type: ignore[misc]


async def test_a_visible_page_beats_every_30_seconds_and_a_hidden_one_is_silent(
    customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.clock.install()
    await page.goto(f"{customer}site_shop/reading")
    await until(lambda: len(wire.requests) == 1)
    await page.clock.run_for(60_000)
    await until(lambda: len(wire.requests) == 3)
    assert wire.signals[1] == {"type": "heartbeat", "siteId": "site_shop", "path": "/site_shop/reading"}
    await hide(page, True)
    await page.clock.run_for(120_000)
    await hide(page, False)
    await until(lambda: len(wire.requests) == 4)
    assert wire.signals[3]["type"] == "heartbeat"


@pytest.mark.parametrize("signal", ["globalPrivacyControl: true", "doNotTrack: '1'"])
async def test_a_wish_not_to_be_tracked_is_respected_by_option(customer: str, visitors: Visitors, signal: str) -> None:
    page = await visitors.page()
    wire = Wire(page)
    name, _, value = signal.partition(": ")
    await page.add_init_script(f"Object.defineProperty(Navigator.prototype, '{name}', {{get: () => {value}}})")
    await page.goto(f"{customer}site_shop/wish?options=data-dnt")
    await page.evaluate("pulse.track('signup')")
    await page.goto(f"{customer}site_shop/no-wish")
    await until(lambda: len(wire.requests) > 0)
    assert wire.pages == ["/site_shop/no-wish"]
    assert len(wire.requests) == 1


async def test_a_page_opened_offline_is_counted_when_the_network_is_back(customer: str, visitors: Visitors) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/online")
    await until(lambda: len(wire.requests) == 1)
    await page.context.set_offline(True)
    await page.evaluate("history.pushState(null, '', '/site_shop/tunnel')")
    await page.evaluate("history.pushState(null, '', '/site_shop/after-tunnel')")
    assert len(wire.requests) == 1
    await page.context.set_offline(False)
    await until(lambda: wire.pages == ["/site_shop/online", "/site_shop/after-tunnel"])


async def test_without_beacons_signals_travel_by_fetch(service: LiveService, customer: str, visitors: Visitors) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.add_init_script("Navigator.prototype.sendBeacon = () => false")
    await page.goto(f"{customer}site_docs/fetched")
    await until(lambda: "/site_docs/fetched" in service.realtime("site_docs")["pageBreakdown"])
    assert [request.method for request in wire.requests] == ["POST"]
    assert wire.requests[0].headers["content-type"].startswith("text/plain")
    assert visitors.complaints == []


async def test_signals_can_be_sent_by_hand(service: LiveService, customer: str, visitors: Visitors) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/manual")
    await until(lambda: len(wire.requests) == 1)
    await page.evaluate("pulse.track('signup', {category: 'plan', value: 3})")
    await page.evaluate("pulse.track('pageview', {path: '/virtual'})")
    await until(lambda: len(wire.requests) == 3)
    assert wire.signals[1:] == [
        {
            "type": "event",
            "action": "signup",
            "category": "plan",
            "value": 3,
            "siteId": "site_shop",
            "path": "/site_shop/manual",
        },
        {"type": "pageview", "path": "/virtual", "siteId": "site_shop"},
    ]
    await until(lambda: "/virtual" in service.realtime("site_shop")["pageBreakdown"])


async def test_nothing_the_page_does_makes_the_tracker_throw(customer: str, visitors: Visitors) -> None:
    page = await visitors.page()
    await page.add_init_script(
        "Navigator.prototype.sendBeacon = () => { throw new Error('blocked') };"
        "window.fetch = () => { throw new Error('blocked') }; delete window.URLSearchParams"
    )
    await page.goto(f"{customer}site_shop/hostile")
    await page.evaluate("() => { const loop = {}; loop.loop = loop; pulse.track('x', loop); pulse.track(); }")
    await page.evaluate("history.pushState(null, '', '/site_shop/elsewhere')")
    assert visitors.complaints == []


async def test_a_second_copy_of_the_tracker_counts_nothing(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/twice")
    await page.evaluate(
        """source => new Promise(done => {
            const script = document.createElement("script");
            Object.assign(script, {src: source, onload: done});
            script.dataset.site = "site_shop";
            document.head.append(script);
        })""",
        f"{service.url}/js/pulse.js",
    )
    await page.evaluate("pulse.track('marker')")
    await until(lambda: any(signal.get("action") == "marker" for signal in wire.signals))
    assert wire.pages == ["/site_shop/twice"]


async def test_a_browser_without_scripts_is_counted_by_the_pixel(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page(java_script_enabled=False)
    await page.goto(f"{customer}site_docs/no-scripts")
    await until(lambda: "/site_docs/no-scripts" in service.realtime("site_docs")["pageBreakdown"])


async def told(page: Page, url: str) -> list[str]:
    """What the tracker says in the console of a page, from its second line on."""
    lines: list[str] = []
    page.on("console", lambda line: lines.append(line.text) if line.text.startswith("Pulsehouse: ") else None)
    await page.goto(url)
    await until(lambda: lines and not lines[-1].startswith("Pulsehouse: debugging"))
    return [line.removeprefix("Pulsehouse: ") for line in lines if "debugging" not in line]


async def test_asked_to_debug_the_tracker_says_what_becomes_of_each_signal(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    counted = "pageview of /site_shop/debugged is counted for site_shop."
    assert await told(page, f"{customer}site_shop/debugged?options=data-debug") == [counted]
    assert "/site_shop/debugged" in service.realtime("site_shop")["pageBreakdown"]
    assert visitors.complaints == []


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        (
            "nobody/x",
            "data-debug",
            'pageview of /nobody/x is not counted: {service}/ has no site "nobody"; check data-site.',
        ),
        ("site_shop/x", "data-debug,data-site", "nothing is counted: the script element has no data-site."),
        (
            "site_shop/x",
            "data-debug,data-dnt",
            "nothing is counted: this browser asks not to be tracked, and data-dnt respects that.",
        ),
    ],
)
async def test_asked_to_debug_the_tracker_says_why_nothing_is_counted(
    service: LiveService, customer: str, visitors: Visitors, path: str, options: str, said: str
) -> None:
    page = await visitors.page()
    if "dnt" in options:
        await page.add_init_script("Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})")
    assert await told(page, f"{customer}{path}?options={options}") == [said.format(service=service.url)]


async def test_on_localhost_the_tracker_says_that_the_host_is_foreign(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    said = "pageview of /site_shop/x is not counted: localhost is none of the domains of site_shop; add it to them."
    assert await told(page, f"{customer.replace('127.0.0.1', 'localhost')}site_shop/x") == [said]


async def test_a_bot_is_told_in_the_console_that_it_is_one(customer: str, visitors: Visitors) -> None:
    page = await visitors.page(bot=True)
    (said,) = await told(page, f"{customer}site_shop/x?options=data-debug")
    assert "is not counted: the service takes this browser for a bot, by its User-Agent: Mozilla/5.0" in said


async def test_a_blocked_signal_is_told_with_the_usual_reasons(
    service: LiveService, customer: str, visitors: Visitors
) -> None:
    page = await visitors.page()
    await page.route("**/api/track", lambda route: route.abort("blockedbyclient"))
    (said,) = await told(page, f"{customer}site_shop/x?options=data-debug")
    assert said == (
        "pageview of /site_shop/x is not counted: the request was blocked. An ad blocker, a Content-Security-Policy "
        f'without "connect-src {service.url}", or no network.'
    )


async def test_nobody_else_loads_the_explanations(customer: str, visitors: Visitors) -> None:
    page = await visitors.page()
    paths: list[str] = []
    page.on("request", lambda request: paths.append(request.url))
    wire = Wire(page)
    await page.goto(f"{customer}site_shop/plain")
    await until(lambda: len(wire.requests) == 1)
    assert [path for path in paths if "debug" in path] == []
