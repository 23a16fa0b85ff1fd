"""The demo's visitors: simulated people who arrive in waves, follow links, read and leave, and what sends them."""

import asyncio
import contextlib
import heapq
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import httpx
import msgspec

from app.client.ask import NoAnswer, Tracked, asking, client_options, read_answer

HEARTBEAT_S = 30.0
"""A page that stays open says so this often, as the tracker does."""
READ_MEDIAN_S = 25.0
READ_SPREAD = 1.1
"""Reading times are log-normal: half of the pages are left within the median, one in twenty is read for minutes."""
READ_MAX_S = 600.0
LEAVE_CHANCE = 0.3
PAGES_MAX = 12
ARRIVALS_PER_MINUTE = 10.0
WAVE_MINUTES = 12.0
WAVE_SWING = 0.7
HISTORY_S = 270.0
"""How far back the first signals are dated, so that the first answer shows a site in use; the limit is 300 s."""
WARM_UP_S = 900.0
"""How long before the history people have been arriving, so that it begins with some in the middle of a visit."""
TICK_S = 0.25
BATCH_MAX_SIGNALS = 500

Kind = Literal["pageview", "heartbeat"]


class Website(msgspec.Struct, frozen=True):
    """A small site: where people come in, where from, and what each page links to."""

    entries: Mapping[str, float]
    """Weight of each page that people come in on."""
    links: Mapping[str, tuple[str, ...]]
    referrers: Mapping[str, float]
    """Weight of each page that people come from; empty for none."""
    countries: Mapping[str, float]


class Action(msgspec.Struct, frozen=True, order=True):
    """Something a visitor does."""

    at_s: float
    """Seconds since the simulation's zero."""
    visitor: str
    kind: Kind
    path: str
    referrer: str
    country: str


class Counts(msgspec.Struct):
    """What became of the signals."""

    sent: int = 0
    failed: int = 0


DOCS = Website(
    entries={
        "/": 5,
        "/docs": 3,
        "/docs/install": 4,
        "/docs/query": 3,
        "/blog/fresh-means-fresh": 4,
        "/blog/minute-buckets": 2,
    },
    links={
        "/": ("/docs", "/docs/install", "/pricing", "/blog"),
        "/docs": ("/docs/install", "/docs/query", "/docs/api", "/"),
        "/docs/install": ("/docs/query", "/docs/api", "/docs"),
        "/docs/query": ("/docs/api", "/docs", "/docs/install"),
        "/docs/api": ("/docs/query", "/docs", "/pricing"),
        "/blog": ("/blog/fresh-means-fresh", "/blog/minute-buckets", "/"),
        "/blog/fresh-means-fresh": ("/blog", "/docs", "/"),
        "/blog/minute-buckets": ("/blog", "/docs/query", "/"),
        "/pricing": ("/signup", "/docs", "/"),
        "/signup": ("/docs/install", "/"),
    },
    referrers={
        "": 5,
        "https://www.google.com/": 6,
        "https://github.com/": 3,
        "https://news.ycombinator.com/": 2,
        "https://duckduckgo.com/": 1,
        "https://stackoverflow.com/questions": 1,
    },
    countries={"US": 9, "DE": 6, "GB": 4, "IN": 4, "FR": 3, "BR": 3, "NL": 2, "JP": 2, "PL": 2, "CA": 2, "SE": 1},
)
SHOP = Website(
    entries={"/": 6, "/sale": 5, "/c/lamps": 2, "/c/chairs": 2, "/p/reading-lamp": 3, "/p/oak-chair": 2},
    links={
        "/": ("/sale", "/c/lamps", "/c/chairs", "/c/tables"),
        "/sale": ("/p/reading-lamp", "/p/oak-chair", "/p/side-table", "/"),
        "/c/lamps": ("/p/reading-lamp", "/p/floor-lamp", "/"),
        "/c/chairs": ("/p/oak-chair", "/p/folding-chair", "/"),
        "/c/tables": ("/p/side-table", "/"),
        "/p/reading-lamp": ("/cart", "/c/lamps", "/p/floor-lamp"),
        "/p/floor-lamp": ("/cart", "/c/lamps"),
        "/p/oak-chair": ("/cart", "/c/chairs", "/p/folding-chair"),
        "/p/folding-chair": ("/cart", "/c/chairs"),
        "/p/side-table": ("/cart", "/c/tables"),
        "/cart": ("/checkout", "/", "/sale"),
        "/checkout": ("/thanks", "/cart"),
        "/thanks": ("/",),
    },
    referrers={
        "": 4,
        "https://www.google.com/": 5,
        "https://www.instagram.com/": 4,
        "https://www.pinterest.com/": 2,
        "https://www.bing.com/": 1,
        "https://newsletter.example/spring": 2,
    },
    countries={"FR": 8, "DE": 5, "ES": 4, "IT": 4, "BE": 3, "GB": 3, "PT": 2, "CH": 2, "US": 2, "AT": 1, "MA": 1},
)
WEBSITES = (DOCS, SHOP)


def visit(website: Website, random_: random.Random, visitor: str, arrived_s: float) -> Iterator[Action]:
    """Yield what one visitor does, in order of time, from arriving to leaving.

    A page is opened by a pageview and kept alive by heartbeats; whoever leaves says nothing more.
    """
    country = _pick(random_, website.countries)
    path, referrer = _pick(random_, website.entries), _pick(random_, website.referrers)
    now_s = arrived_s
    for _ in range(PAGES_MAX):
        yield Action(now_s, visitor, "pageview", path, referrer, country)
        read_s = min(random_.lognormvariate(math.log(READ_MEDIAN_S), READ_SPREAD), READ_MAX_S)
        for beat in range(1, int(read_s / HEARTBEAT_S) + 1):
            yield Action(now_s + beat * HEARTBEAT_S, visitor, "heartbeat", path, "", country)
        if random_.random() < LEAVE_CHANCE:
            return
        now_s += read_s
        path, referrer = random_.choice(website.links[path]), ""


def arrivals_per_s(at_s: float, phase: float) -> float:
    """Return how many visitors per second arrive: waves of several minutes, with a smaller one on top."""
    turn = 2 * math.pi * at_s / (WAVE_MINUTES * 60)
    wave = math.sin(turn + phase) * 0.75 + math.sin(turn * 3.7 + 2 * phase) * 0.25
    return ARRIVALS_PER_MINUTE / 60 * (1 + WAVE_SWING * wave)


def behave(website: Website, seed: int, since_s: float) -> Iterator[Action]:
    """Yield what all visitors of a site do, in order of time, without end; nobody arrives before `since_s`.

    Arrivals are an inhomogeneous Poisson process, by thinning one at the highest rate.
    """
    random_ = random.Random(seed)
    phase = random_.uniform(0, 2 * math.pi)
    most_per_s = ARRIVALS_PER_MINUTE / 60 * (1 + WAVE_SWING)
    under_way: list[tuple[Action, int, Iterator[Action]]] = []
    number, now_s = 0, since_s
    while True:
        now_s += random_.expovariate(most_per_s)
        while under_way and under_way[0][0].at_s <= now_s:
            action, its_number, rest = under_way[0]
            yield action
            following = next(rest, None)
            if following is None:
                heapq.heappop(under_way)
            else:
                heapq.heapreplace(under_way, (following, its_number, rest))
        if random_.random() * most_per_s < arrivals_per_s(now_s, phase):
            number += 1
            own = random.Random(random_.getrandbits(64))
            actions = visit(website, own, f"{seed}-{number}", now_s)
            heapq.heappush(under_way, (next(actions), number, actions))


def _pick(random_: random.Random, weights: Mapping[str, float]) -> str:
    return random_.choices(list(weights), list(weights.values()))[0]


async def simulate(
    url: str,
    site_ids: Sequence[str],
    key: str,
    stop: asyncio.Event,
    *,
    seed: int | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Counts:
    """Send simulated visitors to the sites until `stop` is set; what cannot be sent is counted and left out.

    `key` is an API key of scope `write`. The first signals are up to HISTORY_S old. With a `seed` the same people do
    the same things; tests give a `transport` in place of the network.
    """
    seed = random.randrange(2**32) if seed is None else seed
    counts = Counts()
    async with httpx.AsyncClient(**client_options(url, key), transport=transport) as client:
        sites = [
            asyncio.create_task(_simulate_site(client, site_id, WEBSITES[i % len(WEBSITES)], seed + i, counts))
            for i, site_id in enumerate(site_ids)
        ]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, *sites}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, *sites):
            task.cancel()
        await asyncio.gather(stopped, *sites, return_exceptions=True)
    for site in sites:
        if not site.cancelled():
            site.result()
    return counts


async def _simulate_site(client: httpx.AsyncClient, site_id: str, website: Website, seed: int, counts: Counts) -> None:
    """Send what the visitors of a site do, when they do it; the zero of their clock is the service's first answer."""
    await _wait_until_up(client)
    zero_s, zero = time.monotonic(), datetime.now(UTC)
    batch: list[Action] = []
    for action in behave(website, seed, -HISTORY_S - WARM_UP_S):
        if action.at_s < -HISTORY_S:
            continue
        if batch and (action.at_s > max(time.monotonic() - zero_s, 0) or len(batch) == BATCH_MAX_SIGNALS):
            await _send(client, site_id, batch, zero, counts)
            batch = []
        if (early_s := action.at_s - (time.monotonic() - zero_s)) > 0:
            await asyncio.sleep(max(early_s, TICK_S))
        batch.append(action)


async def _wait_until_up(client: httpx.AsyncClient) -> None:
    while True:
        with contextlib.suppress(NoAnswer), asking(client.base_url):
            if (await client.options("/api/track")).status_code < 500:
                return
        await asyncio.sleep(TICK_S)


async def _send(
    client: httpx.AsyncClient, site_id: str, actions: Sequence[Action], zero: datetime, counts: Counts
) -> None:
    """Send a batch. History is dated; what happens now is stamped by the service."""
    body = {"siteId": site_id, "batch": True, "events": [_signal(action, zero) for action in actions]}
    try:
        with asking(client.base_url):
            response = await client.post("/api/track", json=body)
        read_answer(response, Tracked)
    except NoAnswer:
        counts.failed += len(actions)
    else:
        counts.sent += len(actions)


def _signal(action: Action, zero: datetime) -> dict[str, str]:
    signal = {
        "type": action.kind,
        "path": action.path,
        "visitorId": action.visitor,
        "country": action.country,
    }
    if action.referrer:
        signal["referrer"] = action.referrer
    if action.at_s < 0:
        signal["timestamp"] = (zero + timedelta(seconds=action.at_s)).isoformat()
    return signal
