"""`python -m bench.cluster`: what shards cost and what a dead one costs, by HTTP, beside one machine in the same run.

On the cluster that CLICKHOUSE_NODES names, and on its first node alone. All nodes share this machine's cores, so what
is shown is the cost of a shard and not a speed-up. A minute and a half for a number of shards; with --output the runs
on clusters of other sizes are kept beside this one, and the table is of all:

    for shards in 1 2 3; do cluster --shards $shards -- python -m bench.cluster --output bench/cluster.json; done

where `cluster` starts servers that know each other as the cluster `pulsehouse`, and sets CLICKHOUSE_NODES: a JSON array
of their `url`, `http_port`, `pid` and `command`, by which the last one is stopped, killed and started again.
"""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec

from bench import lanes, results_page
from bench.__main__ import machine
from bench.harness import Database, Load, Process, Service, serve, traffic, wrk
from bench.profile import used_s
from tests.kit.clusters import drop_everywhere, settings_of

SITES = 1_000
VISITORS = 50
"""Active ones, of each site."""
DASHBOARDS = {"living": 32, "dead": 8}
DELAY_MS = 100
"""Between the polls of one of them, while a shard is stopped or dead."""

LOADS = {"poll": 256, "track": 512, "batch": 128}
"""Scripts of wrk, and the connections over which they ask as fast as they are answered."""
CARRIES = {"poll": ("polls", 1), "track": ("single signals", 1), "batch": ("signals in batches of 100", 100)}


class Point(msgspec.Struct, frozen=True):
    """A load that was as high as the machine allowed; CPU is that of all cores, in µs for a poll or signal."""

    what: str
    per_s: float
    p99_ms: float
    failed: int
    together: float
    """Polls in a statement, signals in an INSERT, on the average."""
    api_us: float
    clickhouse_us: float
    wrk_us: float


class Outage(msgspec.Struct, frozen=True):
    """How the sites of the living shards are answered, from the moment when another shard is stopped or killed."""

    state: str
    polls_s: float
    p50_ms: float
    p99_ms: float
    failed: int


class Side(msgspec.Struct, frozen=True):
    """What one machine, or a cluster, did."""

    points: list[Point]
    idle_cores: float
    """Of the service and ClickHouse while nobody asks anything."""
    lane: lanes.Costs


class Run(msgspec.Struct, frozen=True):
    """A cluster, and one machine in turns with it."""

    shards: int
    alone: Side
    cluster: Side
    outages: list[Outage]


class Results(msgspec.Struct):
    """A file of runs, by the number of shards."""

    machine: dict[str, Any]
    runs: dict[int, Run]


class Node(msgspec.Struct):
    """A server of the cluster, the only program of its process."""

    url: str
    http_port: int
    pid: int
    command: list[str]

    def start_again(self) -> Process:
        """After it was killed; return when it answers."""
        process = Process(self.command)
        self.pid = process.pid
        while not process.ended:
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{self.http_port}/ping", timeout=1):
                return process
            time.sleep(0.1)
        raise RuntimeError(f"{self.command} did not start:\n{process.output()}")


class ClusterDatabase(Database):
    """A throw-away database on each node."""

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__(nodes[0].url)
        self._urls = [node.url for node in nodes]
        self.settings = settings_of(self._urls, self.name)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        drop_everywhere(self._urls, self.name)


@contextlib.contextmanager
def service_on(database: Database) -> Iterator[Service]:
    """A service of one worker, with the window full."""
    tell("a database on one machine" if type(database) is Database else "a database on the cluster")
    with database:
        database.add_sites(SITES)
        full = traffic(until=datetime.now(UTC), rate=500, seconds=330, sites=SITES, visitors=VISITORS, skew=False)
        database.load(full, block=10_000)
        with serve(None, workers=1, **database.settings) as service:
            wrk(service.url, "poll", connections=64, seconds=1)  # caches and connections
            yield service


def tell(what: str) -> None:
    """Show how far it is."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def point(service: Service, nodes: list[Node], script: str, seconds: float) -> Point:
    pids = {"api": service.worker_pids(), "clickhouse": [node.pid for node in nodes]}
    what, carries = CARRIES[script]
    tell(what)
    before, used_before = service.metrics(), used_s(pids)
    load = wrk(service.url, script, connections=LOADS[script], seconds=seconds, sites=SITES)
    used, counted = used_s(pids), service.metrics() - before
    done = load.requests_per_s * seconds * carries
    calls = counted["pulsehouse_realtime_statements_total" if script == "poll" else "pulsehouse_inserts_total"]
    each_us = {name: 1e6 * (used[name] - used_before[name]) / done for name in used}
    return Point(
        what,
        load.requests_per_s * carries,
        load.p99_ms,
        load.failed,
        done / calls,
        each_us["api"],
        each_us["clickhouse"],
        each_us["wrk"],
    )


def idle_cores(service: Service, nodes: list[Node], seconds: float) -> float:
    tell("nothing")
    pids = {"both": [*service.worker_pids(), *(node.pid for node in nodes)]}
    before = used_s(pids)["both"]
    time.sleep(seconds)
    return (used_s(pids)["both"] - before) / seconds


def side(service: Service, nodes: list[Node], lane: lanes.Costs, seconds: float) -> Side:
    idle = idle_cores(service, nodes, seconds)
    return Side([point(service, nodes, script, seconds) for script in LOADS], idle, lane)


def shard_of(site: int, shards: int) -> int:
    """As in sql/cluster/signals.sql."""
    return int.from_bytes(hashlib.sha256(f"site_{site}".encode()).digest()[:8], "little") % shards


def outage(service: Service, state: str, shards: int, seconds: float) -> Outage:
    """The polls of the living shards' sites; those of the last shard's are asked for at the same time."""
    tell(f"polls, of the shards {state}")
    sites = range(1, SITES + 1)
    among = {
        "living": [site for site in sites if shard_of(site, shards) < shards - 1],
        "dead": [site for site in sites if shard_of(site, shards) == shards - 1],
    }

    def load(name: str) -> Load:
        return wrk(
            service.url,
            "poll",
            connections=DASHBOARDS[name],
            seconds=seconds,
            delay_ms=DELAY_MS,
            among=among[name],
        )

    with ThreadPoolExecutor() as threads:
        living, _ = threads.map(load, among)
    return Outage(state, living.requests_per_s, living.p50_ms, living.p99_ms, living.failed)


def outages(service: Service, nodes: list[Node], seconds: float, stack: contextlib.ExitStack) -> list[Outage]:
    """With the last shard alive, stopped and killed. What is started again ends with `stack`."""
    last, shards = nodes[-1], len(nodes)
    found = [outage(service, "all alive", shards, seconds)]
    os.kill(last.pid, signal.SIGSTOP)
    found.append(outage(service, "one is stopped, its connections open", shards, seconds))
    os.kill(last.pid, signal.SIGCONT)
    time.sleep(5)  # until it is asked again
    os.kill(last.pid, signal.SIGKILL)
    found.append(outage(service, "one is killed", shards, seconds))
    stack.callback(last.start_again().stop)
    return found


def measure(nodes: list[Node], seconds: float, stack: contextlib.ExitStack) -> Run:
    urls = [node.url for node in nodes]
    with service_on(Database(urls[0])) as service:
        alone = side(service, nodes[:1], lanes.on_one_machine(urls[0], [nodes[0].pid]), seconds)
    with service_on(ClusterDatabase(nodes)) as service:
        cluster = side(service, nodes, lanes.on_cluster(urls, [node.pid for node in nodes]), seconds)
        found = outages(service, nodes, seconds, stack) if len(nodes) > 1 else []
    return Run(len(nodes), alone, cluster, found)


def median(found: list[Any]) -> Any:
    """The same of several: numbers by their medians."""
    first = found[0]
    if isinstance(first, float | int):
        return statistics.median(found)
    if isinstance(first, msgspec.Struct):
        fields = first.__struct_fields__
        return type(first)(*(median([getattr(one, field) for one in found]) for field in fields))
    return [median(list(ones)) for ones in zip(*found, strict=True)] if isinstance(first, list) else first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="medians of so many, one machine and cluster in turns")
    parser.add_argument("--seconds", type=float, default=5, help="for each load")
    parser.add_argument("--output", type=Path, help="add this run to the results in a file")
    options = parser.parse_args()
    nodes = msgspec.json.decode(os.environ["CLICKHOUSE_NODES"], type=list[Node])
    results = Results(machine(), {})
    if options.output and options.output.exists():
        results.runs = msgspec.json.decode(options.output.read_bytes(), type=Results).runs
    with contextlib.ExitStack() as stack:
        runs = [measure(nodes, options.seconds, stack) for _ in range(options.rounds)]
    results.runs[len(nodes)] = median(runs)
    results.runs = dict(sorted(results.runs.items()))
    found = msgspec.to_builtins(results, str_keys=True)
    print(results_page.shards(found["runs"]))
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
