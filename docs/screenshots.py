"""Makes docs/screenshots/ from running services on simulated visitors: python docs/screenshots.py

Needs chromium, and for the pictures to look as they do here a font and flags: fonts-inter, fonts-noto-color-emoji.
"""

import asyncio
import io
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, async_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from app.client.ask import client_options
from app.client.views import Views

FOLDER = Path(__file__).parent / "screenshots"
SITE = "site_shop"
GATHER_S = 60
"""How long the demo's visitors arrive before the pictures are taken: they have a past, but it does not click."""

SETTLE_S = 3
"""Within this time a terminal has all that it shows."""

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "device_scale_factor": 1.25}
DARK_DESK = DESK | {"color_scheme": "dark"}
WALL: dict[str, Any] = {"viewport": {"width": 1920, "height": 1080}, "device_scale_factor": 1}

SITE_PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "live-light": (f"?siteId={SITE}", DESK),
    "live-dark": (f"?siteId={SITE}&range=day&tab=country", DARK_DESK),
    "live-filter": (f"?siteId={SITE}&tab=referrer&country=FR", DESK),
    "live-phone": (f"?siteId={SITE}", {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}),
    "live-tablet": (f"?siteId={SITE}&tab=referrer", {"viewport": {"width": 820, "height": 1180}}),
    "live-kiosk": ("?siteId=site_shop&siteId=site_docs&kiosk&theme=dark", WALL),
    "live-kiosk-portrait": (f"?siteId={SITE}&kiosk&theme=light", {"viewport": {"width": 1080, "height": 1920}}),
}
"""Address and browser of each picture of the demo."""

OVERVIEW_PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "live-sites": ("", DESK),
    "live-sites-kiosk": ("?kiosk&theme=dark", WALL),
}
"""The same of many sites."""

NAMES = [
    "Alpine",
    "Harbour",
    "Maple",
    "Cobalt",
    "Juniper",
    "Meadow",
    "Orchid",
    "Lantern",
    "Pebble",
    "Saffron",
    "Timber",
]
KINDS = ["Bakery", "Bikes", "Books", "Clinic", "Coffee", "Garden", "Gallery", "Hotel", "Music", "School"]

NIGHT = TerminalTheme(
    (17, 19, 26),
    (241, 236, 226),
    [
        (58, 63, 77),
        (255, 156, 140),
        (150, 200, 140),
        (255, 181, 71),
        (130, 170, 230),
        (200, 150, 220),
        (120, 200, 200),
        (241, 236, 226),
    ],
)
THEMES = {
    "light": "#fff",
    "dark": "#fff",
    "transparent": "linear-gradient(90deg, #cfe8d5, #f3d9c4)",
    "transparent-dark": "linear-gradient(90deg, #2b2540, #123c3f)",
}
SHARED = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 16px; display: grid; grid-template-columns: 1fr 1fr; gap: 12px; background: #fff; }}
p {{ margin: 0; padding: 12px; border-radius: 8px; }}
iframe {{ display: block; width: 320px; height: 96px; border: 0; color-scheme: light; }}
img {{ height: 20px; margin-left: 12px; }}
</style>{frames}<div>{badges}</div>"""
FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #11131a; color: #f1ece2; }}
pre {{ display: inline-block; margin: 22px 26px; font: 15px/1.16 "DejaVu Sans Mono", monospace; }}
</style><pre id="terminal">{code}</pre>"""


async def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        sys.exit("no browser found; apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        async with running_demo() as (url, token):
            print(f"visitors arrive for {GATHER_S} s ...", flush=True)
            await asyncio.sleep(GATHER_S)
            await asyncio.sleep((35 - time.time()) % 60)  # well into a minute, so that its bar is no stub
            await take_pictures(browser, url, token, SITE_PICTURES)
            await take_terminal(browser, url, token)
        async with running_agency() as (url, token):
            await take_pictures(browser, url, token, OVERVIEW_PICTURES)
            await take_terminal(browser, url, token, None)
            await take_shared(browser, url, token)
        await browser.close()
    print(*sorted(path.name for path in FOLDER.iterdir()))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-u", "-c", "from app.cli.main import main; main()", *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(*arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs until the block ends."""
    environment = {**os.environ, **settings}
    process = await asyncio.create_subprocess_exec(
        *command(*arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def running_demo() -> AsyncIterator[tuple[str, str]]:
    """The demo: its address and its token."""
    port = free_port()
    async with running("demo", "--port", str(port)) as demo:
        assert demo.stdout
        token = None
        while not token:
            line = await demo.stdout.readline()
            if not line:
                sys.exit("the demo did not start")
            token = re.search(r"ph_live_[\w-]+", line.decode())
        yield f"http://127.0.0.1:{port}", token[0]


@asynccontextmanager
async def running_agency() -> AsyncIterator[tuple[str, str]]:
    """A service with as many sites as there are names, some busy and most not: its address and a token."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pulsehouse-pictures-") as folder:
        settings = {"PULSEHOUSE_DATA_DIR": folder}
        said = ""
        for made in (
            ("site", "add", "--tenant", "agency", "--domain", "willow-school.example", "--name", "Willow School"),
            ("key", "create", "--tenant", "agency", "--scope", "admin"),
        ):
            process = await asyncio.create_subprocess_exec(
                *command(*made), stdout=asyncio.subprocess.PIPE, env={**os.environ, **settings}
            )
            said = (await process.communicate())[0].decode()
        token = re.search(r"ph_live_[\w-]+", said)
        assert token
        url = f"http://127.0.0.1:{port}"
        async with running("serve", "--port", str(port), **settings):
            async with httpx.AsyncClient(**client_options(url, token[0])) as client:
                await fill(client)
            yield url, token[0]


async def fill(client: httpx.AsyncClient) -> None:
    """Add the sites and send visitors to them, in each minute of the last five."""
    for _ in range(100):
        try:
            if (await client.get("/ready")).is_success:
                break
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)
    await asyncio.sleep((35 - time.time()) % 60)
    names = [f"{name} {kind}" for kind in KINDS for name in NAMES]
    domains = [f"{name.lower().replace(' ', '-')}.example" for name in names]
    sites = [{"domains": [domain], "name": name} for name, domain in zip(names, domains, strict=True)]
    added = (await client.post("/api/sites", json={"sites": sites})).raise_for_status().json()["sites"]
    signals = []
    for rank, site in enumerate(added):
        for number in range(int(180 / (rank + 1)) if rank < 80 else 0):
            ages_s = range((number * 37) % 60, 290, 60 * (1 + (number + rank) % 5))
            for age_s in ages_s:
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))
                signals.append({"siteId": site["id"], "visitorId": str(number), "timestamp": at})
    for start in range(0, len(signals), 500):
        body = {"batch": True, "events": signals[start : start + 500]}
        (await client.post("/api/track", json=body)).raise_for_status()


async def take_pictures(
    browser: Browser, url: str, token: str, pictures: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    for name, (address, options) in pictures.items():
        context = await browser.new_context(**options, reduced_motion="reduce", locale="en-GB")
        page = await context.new_page()
        await page.goto(f"{url}/{address}#token={token}")
        await page.locator("[data-health=live] :is(#parts, #site-list) li").first.wait_for()
        if "siteId" in address:
            await page.locator("#line-note", has_text="Yesterday").wait_for()
        await page.screenshot(path=FOLDER / f"{name}.png")
        await context.close()


async def take_shared(browser: Browser, url: str, token: str) -> None:
    """Frames of each theme, each on a ground that it is for, and a badge with a number and one without."""
    async with httpx.AsyncClient(**client_options(url, token)) as client:
        site = (await client.get("/api/realtime/overview")).json()["sites"][0]["siteId"]
        key = (await client.post("/api/keys", json={"scope": "public", "siteId": site})).json()["token"]
    frames = "".join(
        f'<p style="background: {ground}"><iframe src="{url}/embed?siteId={site}&key={key}&theme={theme}"></iframe></p>'
        for theme, ground in THEMES.items()
    )
    badges = "".join(f'<img src="{url}/badge.svg?siteId={site}&key={one}" alt="">' for one in (key, "ph_public_x"))
    page = await browser.new_page(viewport={"width": 740, "height": 340}, device_scale_factor=1.5)
    await page.goto(f"{url}/health")  # any page of HTTP, which is what may frame them
    await page.set_content(SHARED.format(frames=frames, badges=badges))
    for place in range(len(THEMES)):
        await page.frame_locator("iframe").nth(place).locator("[data-health=live]").wait_for()
    await page.screenshot(path=FOLDER / "share.png")


async def take_terminal(browser: Browser, url: str, token: str, site: str | None = SITE) -> None:
    page = await browser.new_page(device_scale_factor=1.5)
    await page.set_content(FRAME.format(code=await terminal(url, token, site)))
    await page.locator("#terminal").screenshot(path=FOLDER / f"terminal{'' if site else '-sites'}.png")


async def terminal(url: str, token: str, site: str | None) -> str:
    """What `pulsehouse watch` shows of a site, or of all, as HTML."""
    async with httpx.AsyncClient(**client_options(url, token)) as client:
        views = Views(client)
        await views.open(site)
        await asyncio.sleep(SETTLE_S)
        screen = views.screen
        await views.close()
    console = Console(
        width=104, height=25, record=True, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(screen)
    return console.export_html(theme=NIGHT, inline_styles=True, code_format="{code}")


asyncio.run(main())
