"""Single signals through POST /api/track, as browsers send them: at a steady rate, or one after the other."""

import argparse
import asyncio
import json
import math
import random
import time
from urllib.parse import urlsplit

CONNECTIONS = 400
"""Among which a steady rate is divided; more than signals are ever under way at once."""


def make_request(sites: int) -> bytes:
    """A signal of a log-uniform site; every fourth is a heartbeat."""
    site = int(math.exp(random.random() * math.log(sites + 1)))
    signal = {
        "siteId": f"site_{site}",
        "type": random.choice(("pageview", "pageview", "pageview", "heartbeat")),
        "path": f"/page/{int(random.random() ** 3 * 300)}",
        "referrer": random.choice(("", "", "https://www.google.com/")),
    }
    body = json.dumps(signal).encode()
    version = random.randrange(100, 10_000)
    head = (
        "POST /api/track HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Browser:
    """One connection that is kept."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)

    async def send(self, request: bytes) -> float:
        """Seconds until a signal is acknowledged. Raises RuntimeError when it is not."""
        started_s = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        body = await self._reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if not head.startswith(b"http/1.1 200 "):
            raise RuntimeError(f"{head.decode()}{body.decode()}")
        return time.perf_counter() - started_s

    def close(self) -> None:
        self._writer.close()


async def call(url: str, *, callers: int, seconds: float, sites: int) -> list[float]:
    """Seconds until each signal was acknowledged, of callers who send one after the other."""
    took_s: list[float] = []

    async def one_after_the_other(browser: Browser) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            took_s.append(await browser.send(make_request(sites)))

    browsers = [Browser(url) for _ in range(callers)]
    await asyncio.gather(*(browser.open() for browser in browsers))
    await asyncio.gather(*(one_after_the_other(browser) for browser in browsers))
    for browser in browsers:
        browser.close()
    return took_s


async def send_steadily(url: str, *, rate: float, sites: int) -> None:
    """Send so many signals a second until this process ends, whenever the earlier ones are acknowledged."""
    first_s = time.monotonic()

    async def one_in_turn(number: int) -> None:
        browser = Browser(url)
        await browser.open()
        due_s = first_s + number / rate
        while True:
            await asyncio.sleep(due_s - time.monotonic())
            await browser.send(make_request(sites))
            due_s += CONNECTIONS / rate

    await asyncio.gather(*(one_in_turn(number) for number in range(CONNECTIONS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--sites", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=1_000, help="signals per second")
    args = parser.parse_args()
    asyncio.run(send_steadily(args.url, rate=args.rate, sites=args.sites))


if __name__ == "__main__":
    main()
