"""What a request costs the worker: CPU in the process, without a socket and without ClickHouse.

    python -m bench.requests                        each kind of request beside a handler that returns fixed bytes
    python -m bench.requests --against ../before    the same, in turns with another checkout of this repository
    python -m bench.requests --profile poll         where the time of one kind goes, by function

The application is called as granian calls it, a task per request and WAVE requests at a time. An engine in memory
takes the place of ClickHouse: it answers at once, always the same. What is measured is CPU time, so other load on the
machine matters less; what counts are medians, and ratios between processes that took turns.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from app.domain.keys import hash_token
from app.domain.realtime import LAST_MICROSECOND, WINDOW_MINUTES
from app.process import spare_garbage_collector
from app.settings import read_settings
from app.store.engine import Parameters
from app.store.statements import Statement
from app.wiring import create_app, create_store
from bench import fixed

WAVE = 512
"""So many requests arrive together, as from the 512 connections of P2 and P5."""
ROUNDS = 30
TURNS = 5

SITES = 1_000
PAGES = 20
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"

SETTINGS = {
    "PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE": "0",
    # Nothing but the requests, however slow the machine is.
    **{
        f"PULSEHOUSE_{name}_MS": "600000"
        for name in ("DIRECTORY_REFRESH", "DIRECTORY_MAX_AGE", "QUERY_TIMEOUT", "COMMIT_TIMEOUT", "BODY_TIMEOUT")
    },
}


class InMemory:
    """Stands in for ClickHouse: knows SITES sites with a key each, and takes any INSERT."""

    name = "memory"
    database = "memory"

    def __init__(self) -> None:
        self._results: dict[str, list[Any]] = {
            "sites/digests": [],
            "sites/changed": [
                (f"site_{n}", f"tenant_{n % 100}", [f"s{n}.example"], f"Site {n}", 0, 0, False, False)
                for n in range(SITES)
            ],
            "keys/changed": [
                (f"key_{n}", f"tenant_{n % 100}", hash_token(token_of(n)), "read", f"site_{n}", None, None, 0)
                for n in range(SITES)
            ],
            "salts/list": [],
        }
        newest = f"{LAST_MICROSECOND - int(time.time() * 1_000_000):016}"
        pages = [(f"/page/{n}", PAGES - n) for n in range(PAGES)]
        self._row = [100, PAGES, pages, [f"{newest}DE/page/{n}" for n in range(10)], [4] * WINDOW_MINUTES]

    async def create_database(self, statement: Statement) -> None:
        pass

    async def is_granted(self, statement: Statement) -> bool:
        return True

    async def fetch(self, statement: Statement, parameters: Parameters | None = None) -> bytes:
        await asyncio.sleep(0)
        if statement.name == "realtime":
            rows = [[str(site), *self._row] for site in (parameters or {})["sites"]]
            return msgspec.json.encode({"data": rows, "rows": len(rows)})
        return msgspec.json.encode({"data": self._results[statement.name]})

    async def execute(self, statement: Statement, parameters: Parameters | None = None, *_: Any, **__: Any) -> None:
        if statement.name == "salts/add" and parameters:
            row = {"day": parameters["day"], "salt": parameters["salt"], "served": False}
            self._results["salts/list"].append(row)

    async def close(self) -> None:
        pass


def token_of(site: int) -> str:
    return f"ph_live_bench_{site}"


class Kind(msgspec.Struct, frozen=True):
    """A kind of request, each of its own by number."""

    what: str
    method: str
    path: str
    query: Callable[[int], str] = lambda n: ""
    headers: Callable[[int], dict[str, str]] = lambda n: {}
    body: Callable[[int], bytes] = lambda n: b""
    per: int = 1
    """What one request brings, where the cost of each is told."""


def signal_of(n: int) -> str:
    return f'{{"siteId":"site_{n % SITES}","type":"pageview","path":"/page/{n}","referrer":"https://www.google.com/"}}'


def browser(n: int) -> dict[str, str]:
    return {"Content-Type": "application/json", "User-Agent": BROWSER.format(100 + n % 50)}


KINDS = {
    "fixed": Kind("GET, fixed bytes", "GET", "/get", headers=lambda n: {"Authorization": f"Bearer {token_of(n)}"}),
    "fixed_post": Kind("POST, fixed bytes", "POST", "/post", headers=browser, body=lambda n: signal_of(n).encode()),
    "poll": Kind(
        "poll, each of another site",
        "GET",
        "/api/realtime",
        lambda n: f"siteId=site_{n % SITES}",
        lambda n: {"Authorization": f"Bearer {token_of(n % SITES)}"},
    ),
    "poll_one": Kind(
        "poll, all of one site",
        "GET",
        "/api/realtime",
        lambda n: "siteId=site_1",
        lambda n: {"Authorization": f"Bearer {token_of(1)}"},
    ),
    "track": Kind("track, a signal", "POST", "/api/track", headers=browser, body=lambda n: signal_of(n).encode()),
    "batch": Kind(
        "track, a signal of 100",
        "POST",
        "/api/track",
        headers=browser,
        body=lambda n: f'{{"events":[{",".join(signal_of(n + i) for i in range(100))}]}}'.encode(),
        per=100,
    ),
}


class Driver:
    """Calls an application as granian does."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    async def wave(self, app: Any, first: int) -> float:
        """Let WAVE requests come at once; return the microseconds of CPU of each."""
        kind = self._kind
        requests = [self._request(number) for number in range(first, first + max(1, WAVE // kind.per))]
        statuses: list[int] = []

        async def one(scope: dict[str, Any], body: bytes) -> None:
            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            await app(scope, receive, send)

        started_s = time.process_time()
        await asyncio.gather(*(one(scope, body) for scope, body in requests))
        took_s = time.process_time() - started_s
        if statuses != [200] * len(requests):
            raise RuntimeError(f"{kind.what}: answered {sorted(set(statuses))}")
        return took_s * 1e6 / len(requests) / kind.per

    def _request(self, number: int) -> tuple[dict[str, Any], bytes]:
        kind = self._kind
        body = kind.body(number)
        headers = {"Host": "127.0.0.1:8000", **kind.headers(number)}
        if body:
            headers["Content-Length"] = str(len(body))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": kind.method,
            "scheme": "http",
            "path": kind.path,
            "raw_path": kind.path.encode(),
            "query_string": kind.query(number).encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (f"192.0.2.{number % 250}", 40_000 + number % 20_000),
            "server": ("127.0.0.1", 8000),
            "extensions": {},
            "state": {},
        }, body


async def measure(names: list[str], rounds: int, profile: cProfile.Profile | None = None) -> dict[str, float]:
    """The microseconds of CPU of each kind, medians of `rounds` waves that took turns."""
    settings = read_settings(SETTINGS)
    store = create_store(settings, engine=InMemory())
    await store.refresh()
    store.run()
    ours, ceiling = create_app(settings, store), fixed.create_worker()
    drivers = {name: Driver(KINDS[name]) for name in names}
    found: dict[str, list[float]] = {name: [] for name in names}
    spare_garbage_collector()
    for number in range(rounds + 2):
        for name, driver in drivers.items():
            if profile and number >= 2:
                profile.enable()
            took_us = await driver.wave(ceiling if name.startswith("fixed") else ours, number * WAVE)
            if profile:
                profile.disable()
            if number >= 2:  # caches
                found[name].append(took_us)
    await store.close(5)
    return {name: statistics.median(values) for name, values in found.items()}


def in_turns(checkouts: dict[str, Path], names: list[str], rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure in a process of its own each, one after the other, TURNS times."""
    command = [sys.executable, "-m", "bench.requests", "--json", "--rounds", str(rounds), "--only", *names]
    for _ in range(TURNS):
        for label, folder in checkouts.items():
            environment = os.environ | {"PYTHONPATH": str(folder)}
            output = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
            yield label, json.loads(output.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout of this repository")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="these kinds of request")
    parser.add_argument("--profile", choices=KINDS, metavar="KIND", help="print where the time of a kind goes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"waves of {WAVE} requests of each kind")
    parser.add_argument("--json", action="store_true", help="print the medians of this checkout alone")
    args = parser.parse_args()
    if args.profile:
        profile = cProfile.Profile()
        uvloop.run(measure([args.profile], args.rounds, profile))
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return
    if args.json:
        print(json.dumps(uvloop.run(measure(args.only, args.rounds))))
        return
    checkouts = {"this": Path.cwd(), **({"before": args.against.resolve()} if args.against else {})}
    found: dict[str, dict[str, list[float]]] = {label: {name: [] for name in args.only} for label in checkouts}
    for label, medians in in_turns(checkouts, args.only, args.rounds):
        for name, value in medians.items():
            found[label][name].append(value)
    table = Table("µs of CPU per request", title_justify="left")
    for label in checkouts:
        table.add_column(label, justify="right")
    if args.against:
        table.add_column("this / before", justify="right")
    for name in args.only:
        values = [statistics.median(found[label][name]) for label in checkouts]
        ratio = [f"{values[0] / values[1]:.2f}"] if args.against else []
        table.add_row(KINDS[name].what, *[f"{value:.1f}" for value in values], *ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
