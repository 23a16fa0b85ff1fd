"""P1 to P4: polls, while signals keep arriving."""

import contextlib
import http.client
import statistics
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from app.store.reads import parameters_of
from bench.harness import REALTIME, Database, Load, Process, Service, serve, serve_fixed, steady_writer, traffic, wrk

if TYPE_CHECKING:
    from bench.__main__ import Report

SITES = 1_000
CONNECTIONS = 512
OFF = {"query_max_sites": 1}
"""One statement per poll: the same code, with room for one site in a statement."""

CURVE = (1, 4, 16, 64, 256, 512, 1024, 2048)


def fill(database: Database, *, quick: bool) -> None:
    """10,000 sites and 20,000 keys, a day of history, and the window at 1,000 signals/s."""
    database.add_sites(10_000)
    now = datetime.now(UTC)
    traffic_of_sites = partial(traffic, sites=SITES, visitors=10_000, skew=True)
    before = now - timedelta(seconds=400)
    database.load(traffic_of_sites(until=before, rate=5 if quick else 25, seconds=86_000), block=100_000)
    database.load(traffic_of_sites(until=now, rate=1_000, seconds=400), block=1_000)


def measure(database: Database, report: "Report", *, quick: bool) -> None:
    rounds, seconds = (2, 2) if quick else (5, 5)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(serve(database.url))
        # Whichever is better counts as "one statement per poll": 2 at once in each worker, or 8.
        off = {n: stack.enter_context(serve(database.url, query_max_statements=n, **OFF)) for n in (2, 8)}
        fixed = stack.enter_context(serve_fixed(size=len(answer_of(ours, 10))))
        for service in (*off.values(), fixed):
            service.pause()
        writer = stack.enter_context(steady_writer(ours, sites=SITES))
        wrk(ours.url, "poll", connections=64, seconds=2)  # caches and connections

        before, started_s = database.count("signals"), time.monotonic()
        polls, ceiling = [], []
        one_each: dict[int, list[float]] = {n: [] for n in off}
        shared: dict[int, list[float]] = {n: [] for n in off}
        for _ in range(rounds):
            polls.append(wrk(ours.url, "poll", connections=CONNECTIONS, seconds=seconds))
            for n, service in off.items():
                statements, polled = _statements_per_s(service, seconds)
                one_each[n].append(statements)
                shared[n].append(polled)
            ceiling.append(alone(fixed, "fixed", CONNECTIONS, seconds))
        best = max(one_each, key=lambda n: statistics.median(one_each[n]))
        report.tell("P1", "polls/s, coalesced", [load.requests_per_s for load in polls])
        report.tell("P1", f"statements/s of one site each, {best} at once per worker", one_each[best])
        report.tell("P1", "polls/s they answer, as polls for the same site still share one", shared[best])
        report.tell("P1", "coalesced / one statement per poll", ratios(rates(polls), one_each[best]))
        report.tell("P2", "answers/s, Litestar handler with fixed bytes", rates(ceiling))
        report.at_least("P2", "coalesced / fixed bytes", ratios(rates(polls), rates(ceiling)), 0.25)
        _one_at_a_time(ours, database, report, 30 if quick else 200)
        _steady(ours, report, *((1, 10) if quick else (3, 40)))
        if not quick:
            _curves(ours, off[best], fixed, report)
        rate = (database.count("signals") - before) / (time.monotonic() - started_s)
        report.at_least("P1", "signals/s committed by the writer meanwhile", [round(rate, 1)], 950)
        _complain(writer, ours)
    if not quick:
        _interval(database, report, rounds, seconds)


def _interval(database: Database, report: "Report", rounds: int, seconds: float) -> None:
    """What the pause between two INSERTs is worth: the same polls and signals with it and without it."""
    found: dict[str, list[float]] = {"apart": [], "at once": []}
    merged: dict[str, list[float]] = {"apart": [], "at once": []}
    with serve(database.url) as apart, serve(database.url, commit_interval_ms=0) as at_once:
        for service in (apart, at_once):
            service.pause()
        for _ in range(rounds):
            for name, service in (("apart", apart), ("at once", at_once)):
                with service.awake(), steady_writer(service, sites=SITES):
                    before, stored = database.events(), database.count("signals")
                    found[name].append(
                        wrk(service.url, "poll", connections=CONNECTIONS, seconds=seconds).requests_per_s
                    )
                    merged[name].append(
                        round((database.events() - before)["MergedRows"] / (database.count("signals") - stored), 1)
                    )
    report.tell("P1", "rows merged by ClickHouse per signal, INSERTs as they come", merged["at once"])
    report.tell("P1", "rows merged by ClickHouse per signal, INSERTs apart", merged["apart"])
    report.tell("P1", "polls/s, INSERTs apart / as they come", ratios(found["apart"], found["at once"]))


def alone(service: Service, script: str, connections: int, seconds: float) -> Load:
    """Load a service that stands still otherwise."""
    with service.awake():
        return wrk(service.url, script, connections=connections, seconds=seconds)


def _statements_per_s(service: Service, seconds: float) -> tuple[float, float]:
    """Statements and polls per second of a service without room for a second site in a statement."""
    with service.awake():
        before, started_s = service.metrics(), time.monotonic()
        load = wrk(service.url, "poll", connections=CONNECTIONS, seconds=seconds)
        statements = (service.metrics() - before)["pulsehouse_realtime_statements_total"]
        took_s = time.monotonic() - started_s
    return round(statements / took_s, 1), load.requests_per_s


def rates(loads: list[Load]) -> list[float]:
    return [load.requests_per_s for load in loads]


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Round by round: what was measured one after the other is compared."""
    return [round(a / b, 3) for a, b in zip(ours, theirs, strict=True)]


def answer_of(service: Service, site: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    with contextlib.closing(connection):
        return _poll(connection, site)


def _poll(connection: http.client.HTTPConnection, site: int) -> bytes:
    headers = {"Authorization": f"Bearer ph_live_bench_read_{site}"}
    connection.request("GET", f"/api/realtime?siteId=site_{site}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {body.decode()}")
    return body


def _one_at_a_time(service: Service, database: Database, report: "Report", times: int) -> None:
    """P3: a poll, the bare statement for the same site, a poll, ..."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    polls, statements = [], []
    for number in range(times):
        site = number * 37 % SITES + 1
        started_s = time.perf_counter()
        _poll(connection, site)
        between_s = time.perf_counter()
        parameters = parameters_of([f"site_{site}"], datetime.now(UTC).replace(microsecond=0))
        database.client.raw_query(REALTIME, dict(parameters))
        polls.append((between_s - started_s) * 1000)
        statements.append((time.perf_counter() - between_s) * 1000)
    connection.close()
    report.tell("P3", "ms, one poll at a time", _quartiles(polls))
    report.tell("P3", "ms, the bare statement through clickhouse-connect", _quartiles(statements))
    report.at_most(
        "P3", "one poll / the bare statement", [statistics.median(polls) / statistics.median(statements)], 1.3
    )


def _quartiles(values: list[float]) -> list[float]:
    return [round(value, 2) for value in statistics.quantiles(values)]


def _steady(service: Service, report: "Report", rounds: int, seconds: float) -> None:
    """P4: 2,500 dashboards that poll every 5 s on average, each on a connection of its own."""
    loads = [wrk(service.url, "poll", connections=2_500, seconds=seconds, delay_ms=5_000) for _ in range(rounds)]
    report.tell("P4", "polls/s of 2,500 dashboards at 5 s", rates(loads))
    report.tell("P4", "ms, median of them", [load.p50_ms for load in loads])
    report.at_most("P4", "ms, p99 of them", [load.p99_ms for load in loads], 100)
    report.at_most("P4", "polls of them without an answer 200", [sum(load.failed for load in loads)], 0)


def _curves(ours: Service, off: Service, fixed: Service, report: "Report") -> None:
    seconds = 3
    rows = []
    for connections in CURVE:
        loads = {
            "coalesced": wrk(ours.url, "poll", connections=connections, seconds=seconds),
            "one site per statement": alone(off, "poll", connections, seconds),
            "fixed bytes": alone(fixed, "fixed", connections, seconds),
        }
        rows += [
            {
                "connections": connections,
                "what": what,
                "per_s": load.requests_per_s,
                "p50": load.p50_ms,
                "p99": load.p99_ms,
            }
            for what, load in loads.items()
        ]
        line = ", ".join(
            f"{what} {load.requests_per_s:,.0f}/s p99 {load.p99_ms:,.0f} ms" for what, load in loads.items()
        )
        report.console.print(f"  {connections:5} connections: {line}")
    report.curve("connections", rows)


def _complain(writer: Process, service: Service) -> None:
    for process in (writer, service.process):
        for line in process.output().splitlines():
            if " INFO " not in line:
                print("  !", line[:200])
