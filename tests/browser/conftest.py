"""A browser, the service as it is installed, and a customer's site: three programs that speak HTTP with each other."""

import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.kit.service import ANSWER_WITHIN_S, Service, key, make, site
from tests.kit.user_agents import CHROME

WAIT_MS = 60_000
"""The longest a test waits for what it expects: several polls. It says nothing about how long things take."""

NO_BROWSER = "no browser; apt-get install chromium"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_report_header() -> str:
    return f"browser: {CHROMIUM or 'none, its tests are skipped; apt-get install chromium'}"


SITES = {"site_shop": "The Shop", "site_docs": "The Docs", "site_quiet": "Quiet"}


class LiveService(Service):
    """A service with the three sites of one tenant, of which one stays empty, and a site of another tenant."""

    def __init__(self, **settings: str) -> None:
        settings["track_max_signals_per_minute"] = "0"
        *_, reader, writer, public = make(
            site("site_other", tenant="other", domain="127.0.0.1"),
            *((*site(site_id, domain="127.0.0.1")[:-1], name) for site_id, name in SITES.items()),
            key("read"),
            key("write"),
            (*key("public"), "--site", "site_shop"),
            **settings,
        )
        self.token, self.write_token = reader["token"], writer["token"]
        self.public_token = public["token"]
        """Reads the numbers of site_shop."""
        super().__init__(**settings)

    def page(self, site_id: str = "", *, token: str | None = None, more: str = "") -> str:
        """Address of the live page, signed in."""
        return f"{self.url}/?siteId={site_id}{more}#token={self.token if token is None else token}"

    def breakdown(self, site_id: str, **query: str) -> dict[str, Any]:
        """An answer by a dimension."""
        params, headers = {"siteId": site_id, **query}, {"Authorization": f"Bearer {self.token}"}
        answer = httpx.get(
            f"{self.url}/api/realtime/breakdown", params=params, headers=headers, timeout=ANSWER_WITHIN_S
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def realtime(self, site_id: str) -> dict[str, Any]:
        answer = self.poll(self.token, site_id)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The service on the embedded engine."""
    if not CHROMIUM:
        pytest.skip(NO_BROWSER)
    with LiveService(data_dir=str(tmp_path_factory.mktemp("browser"))) as service:
        yield service


class CustomerHandler(BaseHTTPRequestHandler):
    """Every path is a page with the tracker of the site that the first path segment names."""

    def __init__(self, *arguments: Any, tracker: str) -> None:
        self._tracker = tracker
        super().__init__(*arguments)

    def do_GET(self) -> None:
        _, site_id, *_ = self.path.split("/")
        options = " ".join(self.path.partition("?options=")[2].split(","))
        pixel = f"{self._tracker}api/track.gif?siteId={site_id}"
        body = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A customer's page</title>
            <link rel="icon" href="data:,">
            <script defer src="{self._tracker}js/pulse.js" {options} data-site="{site_id}"></script></head>
            <body><a id="next" href="/{site_id}/next">next</a><noscript>
            <img src="{pixel}" alt="" referrerpolicy="no-referrer-when-downgrade"></noscript></body></html>""".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class PrefixHandler(BaseHTTPRequestHandler):
    """A reverse proxy that serves the service under /stats/."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, target: str) -> None:
        self._target = target
        super().__init__(*arguments)

    def _forward(self) -> None:
        if not self.path.startswith("/stats/"):
            self.send_error(404)
            return
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        url = self._target + self.path.removeprefix("/stats/")
        answer = httpx.request(self.command, url, content=sent, headers={**headers, "Accept-Encoding": "identity"})
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("server", "date", "content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_OPTIONS = _forward  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


class Web(ThreadingHTTPServer):
    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


def serve_in_thread(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    server = Web(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.url
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def customer(service: LiveService) -> Iterator[str]:
    """Address of a customer's web server, another origin than the service: /SITE_ID/any/path."""
    yield from serve_in_thread(partial(CustomerHandler, tracker=f"{service.url}/"))


@pytest.fixture(scope="session")
def prefix(service: LiveService) -> Iterator[str]:
    """Address of the service under a path prefix of a proxy."""
    yield from (url + "stats/" for url in serve_in_thread(partial(PrefixHandler, target=f"{service.url}/")))


@pytest.fixture(scope="session")
def prefix_customer(prefix: str) -> Iterator[str]:
    """A customer's web server whose pages take the tracker from under the prefix."""
    yield from serve_in_thread(partial(CustomerHandler, tracker=prefix))


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    if not CHROMIUM:
        pytest.skip(NO_BROWSER)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        await browser.close()


class Visitors:
    """Opens pages as different people; remembers what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        """Console errors (CSP violations among them) and uncaught exceptions, in any page."""
        self.hosts: set[str] = set()
        """Where requests went to."""

    async def page(self, *, bot: bool = False, **options: Any) -> Page:
        number = time.monotonic_ns() % 10**9
        user_agent = "Mozilla/5.0 (compatible; Googlebot/2.1)" if bot else CHROME.format(number)
        context = await self._browser.new_context(user_agent=user_agent, **options)
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: self.hosts.add(httpx.URL(request.url).netloc.decode()))
        return page

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest.fixture
async def visitors(browser: Browser) -> AsyncIterator[Visitors]:
    visitors = Visitors(browser)
    yield visitors
    await visitors.close()


async def shown(page: Page, **expected: str) -> None:
    """Wait until the elements with these ids show these texts."""
    for name, text in expected.items():
        await page.wait_for_function(
            "([id, text]) => document.getElementById(id).innerText.trim() === text", arg=[name.replace("_", "-"), text]
        )


async def hide(page: Page, hidden: bool) -> None:
    """Make a page believe that its tab is hidden, or seen again; headless browsers show every tab."""
    await page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
            Object.defineProperty(document, "visibilityState", {
                get: () => hidden ? "hidden" : "visible", configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
