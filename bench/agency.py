"""P10: who runs thousands of sites: batches, overviews, event streams, and a neighbour who asks at full speed."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.harness import SQL, WINDOW_S, Database, Service, serve, steady_writer, traffic, wrk
from bench.http import ratios
from bench.profile import used_s
from tests.kit.service import ROOT

if TYPE_CHECKING:
    from bench.__main__ import Report

SITES = 1_000
"""With visitors, of ALL_SITES."""
ALL_SITES = 3_000
ALL = "ph_live_bench_read"
"""Reads all of them."""
OTHER = ("site_other", "ph_live_bench_other")
"""The site and token of another tenant."""
STREAMS = 5_000
DASHBOARDS = 2_500


def measure(url: str, report: "Report", *, quick: bool) -> None:
    # Each stream is a connection of this process's children and of the service.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rounds, seconds = (2, 3) if quick else (5, 6)
    with Database(url) as database:
        database.add_sites(ALL_SITES)
        for name in ("add_reader", "add_other_site", "add_other_key"):
            database.client.command(SQL[name])
        now = datetime.now(UTC)
        window = traffic(until=now, rate=1_000, seconds=WINDOW_S, sites=SITES, visitors=10_000, skew=True)
        database.load(window, block=1_000)
        # On a busy machine 1,000 sites may take longer than a poll may wait; here it is to be seen how long.
        patient = {"key_max_requests_per_minute": 0, "query_timeout_ms": 60_000}
        with serve(database.url, **patient) as service, steady_writer(service, sites=SITES):
            wrk(service.url, "poll", connections=32, seconds=2)
            _batches(service, database, report, rounds, seconds)
            _overviews(service, report, 10 if quick else 40)
        with (
            serve(database.url) as service,
            serve(database.url, key_max_requests_per_minute=1_000) as refusing,
            steady_writer(service, sites=SITES),
        ):
            _neighbour(service, refusing, report, rounds, seconds)
        _pushed_or_polled(database, report, *((500, 10) if quick else (DASHBOARDS, 30)))
        _streams(database, report, *((1_000, 10) if quick else (STREAMS, 40)))


@contextlib.contextmanager
def _cores(service: Service, database: Database) -> Iterator[Callable[[], tuple[float, float]]]:
    """Afterwards: how many cores the worker and ClickHouse have used."""
    pids, took = {"": service.worker_pids()}, [0.0, 0.0]
    before, events, started_s = used_s(pids)[""], database.events(), time.monotonic()
    yield lambda: (took[0], took[1])
    passed_s = time.monotonic() - started_s
    used = (database.events() - events)["OSCPUVirtualTimeMicroseconds"] / 1e6
    took[:] = [(used_s(pids)[""] - before) / passed_s, used / passed_s]


class _Connection:
    """One that is kept, with a token."""

    def __init__(self, service: Service, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[bytes, float]:
        """The body of a 200, and the milliseconds until it was there."""
        started_s = time.perf_counter()
        content = None if body is None else json.dumps(body)
        self._connection.request("POST" if content else "GET", path, content, {**self._headers, **headers})
        answer = self._connection.getresponse()
        got = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {got.decode()}")
        return got, (time.perf_counter() - started_s) * 1000


def _batches(service: Service, database: Database, report: "Report", rounds: int, seconds: float) -> None:
    """The answers of 1,000 sites: one batch after the other, and single polls over 32 connections."""
    connection = _Connection(service, ALL)
    asked = {"siteIds": [f"site_{number}" for number in range(1, SITES + 1)]}
    rates: dict[str, list[float]] = {"batch": [], "polls": []}
    cpu: dict[str, list[float]] = {"batch": [], "polls": []}
    for _ in range(rounds):
        for name in rates:
            with _cores(service, database) as cores:
                started_s = time.monotonic()
                if name == "batch":
                    answers = 0
                    while time.monotonic() - started_s < seconds:
                        connection.ask("/api/realtime/batch", asked)
                        answers += SITES
                    rate = answers / (time.monotonic() - started_s)
                else:
                    rate = wrk(service.url, "poll", connections=32, seconds=seconds).requests_per_s
            rates[name].append(round(rate, 1))
            cpu[name].append(round(sum(cores()) / rate * SITES, 3))
    report.tell("P10", "sites answered per second, batches of 1,000, one after the other", rates["batch"])
    report.tell("P10", "sites answered per second, single polls over 32 connections", rates["polls"])
    report.tell("P10", "batch / polls", ratios(rates["batch"], rates["polls"]))
    report.tell("P10", "CPU seconds of worker and ClickHouse for 1,000 sites by batch, signals included", cpu["batch"])
    report.tell("P10", "the same for single polls", cpu["polls"])


def _overviews(service: Service, report: "Report", times: int) -> None:
    connection = _Connection(service, ALL)
    path = f"/api/realtime/overview?limit={SITES}"
    plain, _ = connection.ask(path)
    packed, _ = connection.ask(path, **{"Accept-Encoding": "gzip"})
    if len(gzip.decompress(packed)) < len(plain) / 2:
        raise RuntimeError("the compressed overview is another one")
    for shown in (100, SITES):
        found = [connection.ask(f"/api/realtime/overview?limit={shown}")[1] for _ in range(times)]
        report.tell("P10", f"ms, an overview of {ALL_SITES:,} sites, {shown:,} shown", statistics.quantiles(found))
    report.tell("P10", f"bytes of it, {SITES:,} shown", [len(plain)])
    report.tell("P10", "bytes of it, compressed", [len(packed)])


def _neighbour(service: Service, refusing: Service, report: "Report", rounds: int, seconds: float) -> None:
    """Polls of one tenant, one after the other: alone, and beside 256 connections of another tenant's one key, which
    are answered, or refused as beyond their limit."""
    site, token = OTHER
    found: dict[str, list[float]] = {"alone": [], "answered": [], "refused": []}
    rates, used = [], []
    for _ in range(rounds):
        for beside, p99_ms in found.items():
            asked = refusing if beside == "refused" else service
            connection = _Connection(asked, token)
            with concurrent.futures.ThreadPoolExecutor() as loader:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                if beside != "alone":
                    load = loader.submit(wrk, asked.url, "poll_one_key", connections=256, seconds=seconds + 1)
                time.sleep(1)
                p99_ms.append(_p99_ms(connection, site, seconds))
            if beside == "answered":
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                passed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                used.append(round(passed / (seconds + 1), 3))
                rates.append(load.result().requests_per_s)
    report.tell("P10", "ms, p99 of a tenant's polls", found["alone"])
    report.tell("P10", "the same beside one key of another tenant over 256 connections", found["answered"])
    report.at_most("P10", "the latter / the former", ratios(found["answered"], found["alone"]), 3)
    report.tell("P10", "polls per second that this key is answered", rates)
    report.tell("P10", "cores that wrk takes for them", used)
    report.tell("P10", "ms, p99 beside such a key that is refused", found["refused"])
    report.at_most("P10", "the same / alone", ratios(found["refused"], found["alone"]), 3)


def _p99_ms(connection: _Connection, site: str, seconds: float) -> float:
    took_ms = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        took_ms.append(connection.ask(f"/api/realtime?siteId={site}")[1])
        time.sleep(0.02)
    return round(statistics.quantiles(took_ms, n=100)[98], 2)


class _Watchers:
    """A process with open streams (bench/watchers.py)."""

    def __init__(self, service: Service, streams: int, seconds: float) -> None:
        command = [sys.executable, "-m", "bench.watchers", "--url", service.url, "--streams", str(streams)]
        self._process = subprocess.Popen(
            [*command, "--sites", str(SITES), "--seconds", str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said("open")

    def _said(self, expected: str = "") -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        if expected not in line or not line:
            raise RuntimeError(f"the watchers said {line!r}")
        return line

    def go(self) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._said())
        self._process.wait()
        return found


def _pushed_or_polled(database: Database, report: "Report", dashboards: int, seconds: float) -> None:
    """The same number of dashboards on streams, and polling every 5 s."""
    used: dict[str, tuple[float, float]] = {}
    for name in ("streams", "polls every 5 s"):
        with serve(database.url, stream_lifetime_ms=3_600_000) as service, steady_writer(service, sites=SITES):
            watchers = _Watchers(service, dashboards, seconds) if name == "streams" else None
            with _cores(service, database) as cores:
                if watchers:
                    watchers.go()
                else:
                    wrk(service.url, "poll", connections=dashboards, seconds=seconds, delay_ms=5_000)
            used[name] = cores()
    for name, (worker, clickhouse) in used.items():
        report.tell("P10", f"cores of the worker, {dashboards:,} dashboards, {name}", [round(worker, 2)])
        report.tell("P10", f"cores of ClickHouse, {dashboards:,} dashboards, {name}", [round(clickhouse, 2)])


def _streams(database: Database, report: "Report", streams: int, seconds: float) -> None:
    with serve(database.url, stream_lifetime_ms=3_600_000) as service, steady_writer(service, sites=SITES):
        wrk(service.url, "poll", connections=256, seconds=3)
        before_mb = service.memory_mb()
        watchers = _Watchers(service, streams, seconds)
        with _cores(service, database) as cores:
            found = watchers.go()
            after_mb = service.memory_mb()
    what = f"{streams:,} streams over {SITES:,} sites"
    report.tell("P10", f"ms from a 200 to the event, median, {what}", [found["p50_ms"]])
    report.at_most("P10", "ms from a 200 to the event, p99", [found["p99_ms"]], 2_000)
    report.tell("P10", "events per second", [found["events_per_s"]])
    report.at_most("P10", f"signals missing in a stream, of {found['awaited']:,} awaited", [found["missing"]], 0)
    report.at_most("P10", "streams that ended", [found["ended"]], 0)
    report.at_most("P10", "events that tell of an error", [found["errors"]], 0)
    report.at_most("P10", "kB of the worker for each stream", [round(1000 * (after_mb - before_mb) / streams, 1)], 30)
    for name, value in zip(("worker", "ClickHouse"), cores(), strict=True):
        report.tell("P10", f"cores of {name} meanwhile", [round(value, 2)])
