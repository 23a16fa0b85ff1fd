"""Open event streams and what they see: `python -m bench.watchers --streams 5000`; prints one line of JSON.

Prints `open` when each stream has its first event, and begins with a line on its input. Then a signal with a page of
its own goes to a site now and then; what is measured is the time from its 200 to the event that has it, for each stream
there.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import Counter, defaultdict
from urllib.parse import urlsplit

from bench.singles import Browser

OPENING_AT_ONCE = 50
PATIENCE_S = 15.0
"""A signal that is in no event by then is missing."""
BUSY = 10
"""A signal goes to none of the busiest tenth of the sites. An answer has a site's 100 pages with most visitors and its
newest 10 pageviews: where more than that is going on, the page of one visitor is rightly in no event at all."""


class Stream(asyncio.Protocol):
    """One open stream, read as it comes."""

    def __init__(self, crowd: "Crowd", site: int) -> None:
        self._crowd = crowd
        self._site = site
        self._rest = b""
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            f"GET /api/realtime/stream?siteId=site_{self._site} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer ph_live_bench_read_{self._site}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now_s = time.perf_counter()
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if b"event: error" in event:
                self._crowd.counts["errors"] += 1
            elif b"event: realtime" in event:
                self._crowd.counts["events"] += 1
                self._crowd.see(self, self._site, event, now_s)
                if not self.begun.done():
                    self.begun.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.counts["ended"] += not self._crowd.over


class Crowd:
    """All streams, and the signals that they wait for."""

    def __init__(self, url: str, sites: int) -> None:
        self.counts: Counter[str] = Counter()
        self.delays_s: list[float] = []
        self.over = False
        address = urlsplit(url)
        self._url, self._host, self._port = url, address.hostname or "", address.port or 80
        self._sites = sites
        self._streams: defaultdict[int, set[Stream]] = defaultdict(set)
        self._awaited: dict[int, tuple[bytes, list[float], set[Stream]]] = {}
        """By site: the page of the signal, when it was acknowledged, and the streams that have not shown it."""

    async def open(self, streams: int) -> None:
        """Open so many streams, spread over the sites, a few at a time."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def one(number: int) -> None:
            site = number % self._sites + 1
            async with gate:
                _, stream = await asyncio.get_running_loop().create_connection(
                    lambda: Stream(self, site), self._host, self._port
                )
                await stream.begun
                self._streams[site].add(stream)

        await asyncio.gather(*map(one, range(streams)))

    async def probe(self, seconds: float, every_s: float) -> None:
        """Send a signal every so often, to a site that has none on its way."""
        browser = Browser(self._url)
        await browser.open()
        quiet = [site for site in self._streams if site > self._sites // BUSY]
        end_s, number = time.perf_counter() + seconds, 0
        while time.perf_counter() < end_s:
            number += 1
            await asyncio.sleep(every_s)
            site = random.choice([site for site in quiet if site not in self._awaited])
            page, acknowledged_s = f"/probe/{number}/", list[float]()
            self._awaited[site] = (page.encode(), acknowledged_s, set(self._streams[site]))
            await browser.send(_signal(site, page, number))
            acknowledged_s.append(time.perf_counter())
            # Streams may have shown it before the 200 came.
            self.counts["awaited"] += len(self._streams[site])
        give_up_s = time.perf_counter() + PATIENCE_S
        while self._awaited and time.perf_counter() < give_up_s:
            await asyncio.sleep(0.1)
        self.counts["missing"] = sum(len(streams) for _, _, streams in self._awaited.values())
        self.over = True
        browser.close()

    def see(self, stream: Stream, site: int, event: bytes, now_s: float) -> None:
        awaited = self._awaited.get(site)
        if awaited is None or stream not in awaited[2] or awaited[0] not in event:
            return
        _, acknowledged_s, waiting = awaited
        waiting.remove(stream)
        self.delays_s.append(max(0.0, now_s - acknowledged_s[0]) if acknowledged_s else 0.0)
        if not waiting:
            del self._awaited[site]


def _signal(site: int, page: str, number: int) -> bytes:
    body = json.dumps({"siteId": f"site_{site}", "path": page, "visitorId": f"probe {number}"}).encode()
    head = (
        "POST /api/track HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ph_live_bench_write\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def watch(args: argparse.Namespace) -> None:
    crowd = Crowd(args.url, args.sites)
    await crowd.open(args.streams)
    print("open", flush=True)
    await asyncio.to_thread(input)  # until whoever started this is ready
    crowd.counts.clear()
    started_s = time.perf_counter()
    await crowd.probe(args.seconds, args.every_s)
    delays_ms = sorted(1000 * delay_s for delay_s in crowd.delays_s)
    hundredths = statistics.quantiles(delays_ms, n=100)
    result = {
        "p50_ms": hundredths[49],
        "p99_ms": hundredths[98],
        "events_per_s": crowd.counts["events"] / (time.perf_counter() - started_s),
        **{name: crowd.counts[name] for name in ("awaited", "missing", "errors", "ended")},
    }
    print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--streams", type=int, default=5_000)
    parser.add_argument("--sites", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--every-s", type=float, default=0.1)
    asyncio.run(watch(parser.parse_args()))


if __name__ == "__main__":
    main()
