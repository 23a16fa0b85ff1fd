"""Makes docs/screenshots/ from a running demo: python docs/screenshots.py

Needs chromium, and for the pictures to look as they do here a font and flags: fonts-inter, fonts-noto-color-emoji.
"""

import asyncio
import io
import re
import shutil
import socket
import sys
import time
from pathlib import Path

import httpx
from playwright.async_api import Browser, async_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from app.client.ask import client_options
from app.client.screen import Screen
from app.client.watched import Watched

FOLDER = Path(__file__).parent / "screenshots"
SITE = "site_shop"
GATHER_S = 260
"""How long the demo's visitors arrive before the pictures are taken: nearly a whole window of five minutes."""

PICTURES = {
    "live-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "device_scale_factor": 1.5},
    "live-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark", "device_scale_factor": 1.5},
    "live-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
    "live-kiosk": {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark", "device_scale_factor": 1},
}
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
FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #11131a; color: #f1ece2; }}
pre {{ display: inline-block; margin: 22px 26px; font: 15px/1.16 "DejaVu Sans Mono", monospace; }}
</style><pre id="terminal">{code}</pre>"""


async def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        sys.exit("no browser found; apt-get install chromium")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-c", "from app.cli.main import main; main()", "demo", "--port", str(port)]
    demo = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert demo.stdout
        token = None
        while not token:
            line = await demo.stdout.readline()
            if not line:
                sys.exit("the demo did not start")
            token = re.search(r"ph_live_[\w-]+", line.decode())
        print(f"visitors arrive for {GATHER_S} s ...", flush=True)
        await asyncio.sleep(GATHER_S)
        await asyncio.sleep((40 - time.time()) % 60)  # well into a minute, so that its bar is no stub
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            await take_pictures(browser, f"http://127.0.0.1:{port}", token[0])
            await browser.close()
    finally:
        if demo.returncode is None:
            demo.terminate()
            await demo.wait()


async def take_pictures(browser: Browser, url: str, token: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, options in PICTURES.items():
        context = await browser.new_context(**options, reduced_motion="reduce")  # type: ignore[arg-type]
        page = await context.new_page()
        kiosk = "&kiosk" if name == "live-kiosk" else ""
        await page.goto(f"{url}/?siteId={SITE}{kiosk}#token={token}")
        await page.locator("[data-health=live] #feed li").first.wait_for()
        await page.screenshot(path=FOLDER / f"{name}.png")
        await context.close()
    page = await browser.new_page(device_scale_factor=1.5)
    await page.set_content(FRAME.format(code=await asyncio.to_thread(terminal, url, token)))
    await page.locator("#terminal").screenshot(path=FOLDER / "terminal.png")
    print(*sorted(path.name for path in FOLDER.iterdir()))


def terminal(url: str, token: str) -> str:
    """What `pulsehouse watch` shows, as HTML."""
    with httpx.Client(**client_options(url, token)) as client:
        watched = Watched(client, SITE)
        watched.ask()
    console = Console(
        width=104, height=25, record=True, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Screen(watched))
    return console.export_html(theme=NIGHT, inline_styles=True, code_format="{code}")


asyncio.run(main())
