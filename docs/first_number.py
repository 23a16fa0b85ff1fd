"""Measures how long the live page takes to its first number: python docs/first_number.py URL [TIMES]

URL is a signed-in address, as `pulsehouse demo` prints it. Each time is a new browser profile with nothing cached, from
the start of the navigation to the digits on the page.
"""

import asyncio
import shutil
import statistics
import sys

from playwright.async_api import async_playwright

NOTE_FIRST_NUMBER = """
    new MutationObserver((_, observer) => {
        const digits = document.querySelector("#site #digits");
        if (!/[0-9]/.test(digits?.textContent ?? "")) return;
        window.firstNumber = performance.now();
        observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
"""


async def main(url: str, times: int) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        sys.exit("no browser found; apt-get install chromium")
    took_ms = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(times):
            context = await browser.new_context()
            page = await context.new_page()
            await page.add_init_script(NOTE_FIRST_NUMBER)
            await page.goto(url)
            await page.wait_for_function("() => window.firstNumber")
            took_ms.append(await page.evaluate("() => window.firstNumber"))
            await context.close()
        await browser.close()
    print(f"first number after {statistics.median(took_ms):.0f} ms", end=" ")
    print(f"(median of {times}; {min(took_ms):.0f} to {max(took_ms):.0f} ms)")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 20))
