"""A browser, the service as it is installed, and a customer's site: three programs that speak HTTP with each other."""

import inspect
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest

pytest.importorskip("playwright", reason="the browser tests need playwright: make setup")

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

START_WITHIN_S = 60
WAIT_MS = 20_000
"""The longest a test waits for what it expects: several polls. It says nothing about how long things take."""

PULSEHOUSE = [sys.executable, "-c", "from app.cli.main import main; main()"]
PEOPLE = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.{}.0 Safari/537.36"
"""Headless browsers name themselves, and the service refuses them as bots. The number tells visitors apart."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_report_header() -> str:
    return f"browser: {CHROMIUM or 'none, its tests are skipped; apt-get install chromium'}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A running `pulsehouse serve` with three sites of one tenant, of which one stays empty."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, "PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE": "0", **environment}
        self.url = f"http://127.0.0.1:{free_port()}/"
        self._process: subprocess.Popen[bytes] | None = None
        for site_id, name in (("site_shop", "The Shop"), ("site_docs", "The Docs"), ("site_quiet", "Quiet")):
            self.run("site", "add", "--tenant", "acme", "--domain", "127.0.0.1", "--id", site_id, "--name", name)
        self.token = self.run("key", "create", "--tenant", "acme", "--scope", "read")["token"]
        self.write_token = self.run("key", "create", "--tenant", "acme", "--scope", "write")["token"]
        self.run("site", "add", "--tenant", "other", "--domain", "127.0.0.1", "--id", "site_other")

    def run(self, *arguments: str) -> Any:
        command = [*PULSEHOUSE, *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=START_WITHIN_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*PULSEHOUSE, "serve", "--port", str(httpx.URL(self.url).port)], env=self.environment
        )
        give_up_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < give_up_s and self._process.poll() is None:
            try:
                if httpx.get(self.url + "ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.stop()
        raise AssertionError("the service did not start")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def page(self, site_id: str = "", *, token: str | None = None, more: str = "") -> str:
        """Address of the live page, signed in."""
        return f"{self.url}?siteId={site_id}{more}#token={self.token if token is None else token}"

    def realtime(self, site_id: str) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.url}api/realtime?siteId={site_id}", headers={"Authorization": f"Bearer {self.token}"}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on the embedded engine."""
    if not CHROMIUM:
        pytest.skip("no browser; apt-get install chromium")
    folder = tmp_path_factory.mktemp("browser")
    service = Service({"PULSEHOUSE_DATA_DIR": str(folder), "PULSEHOUSE_CLICKHOUSE_URL": ""})
    service.start()
    yield service
    service.stop()


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
            <script defer src="{self._tracker}js/pulse.js" data-site="{site_id}" {options}></script></head>
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
def customer(service: Service) -> Iterator[str]:
    """Address of a customer's web server, another origin than the service: /SITE_ID/any/path."""
    yield from serve_in_thread(partial(CustomerHandler, tracker=service.url))


@pytest.fixture(scope="session")
def prefix(service: Service) -> Iterator[str]:
    """Address of the service under a path prefix of a proxy."""
    yield from (url + "stats/" for url in serve_in_thread(partial(PrefixHandler, target=service.url)))


@pytest.fixture(scope="session")
def prefix_customer(prefix: str) -> Iterator[str]:
    """A customer's web server whose pages take the tracker from under the prefix."""
    yield from serve_in_thread(partial(CustomerHandler, tracker=prefix))


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no browser; apt-get install chromium")
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

    async def page(self, **options: Any) -> Page:
        number = time.monotonic_ns() % 10**9
        context = await self._browser.new_context(user_agent=PEOPLE.format(number), **options)
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


async def eventually(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until something holds; fails after WAIT_MS."""
    with anyio.fail_after(WAIT_MS / 1000):
        while True:
            result = condition()
            if await result if inspect.isawaitable(result) else result:
                return
            await anyio.sleep(0.1)
