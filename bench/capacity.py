"""`python -m bench.capacity`: how many cores and shards a load needs, from measured costs of its parts.

Every number of Costs is measured by a command of this repository; give your own machine's with --costs. The model adds
up the time of cores, so it says where a load begins to queue, not how long answers take below that.

With --check bench/cluster.json it is held against what `python -m bench.cluster` has measured: from the costs on one
machine it predicts what the same cores do as a cluster.
"""

import argparse
import math
from pathlib import Path

import msgspec

from bench.cluster import Point, Results, Run
from bench.results_page import number, table


class Costs(msgspec.Struct, frozen=True):
    """What the parts cost, in milliseconds of one core of the machine that serves them, as measured on an EPYC."""

    statement_ms: float = 9.0
    """Of ClickHouse: a realtime statement, without its sites (`python -m bench.cluster`, as what follows)."""
    site_ms: float = 0.17
    """Each site of it (of a statement for tens; of 1,000 each takes 0.1, `make bench`)."""
    shard_ms: float = 5.0
    """What a statement through a Distributed table costs more."""
    insert_ms: float = 32.0
    """An INSERT with its two views, and the merges that follow, without its signals."""
    shard_insert_ms: float = 7.0
    """What an INSERT through a Distributed table costs more."""
    signal_ms: float = 0.006
    """Each signal of an INSERT."""
    look_ms: float = 22.0
    """A worker's look for changed sites, keys and salts, each second."""
    shard_look_ms: float = 9.0
    """Its look at a shard."""
    poll_ms: float = 0.15
    """Of the API: a poll (P1)."""
    track_ms: float = 0.14
    """Of the API: a signal in a request of its own (P5)."""
    site_memory_kb: float = 1.06
    """Of each worker: a site with two keys (`python -m bench.directory`)."""


class Load(msgspec.Struct, frozen=True):
    """What is asked for."""

    sites: int
    dashboards: int
    """Open ones, each asking for one site."""
    poll_every_s: float = 2.0
    signals_per_site_s: float = 0.05
    """On the average: a site with 50 active visitors who each see a page every 1,000 s."""
    seen_share: float = 0.1
    """Share of the sites that somebody looks at."""
    routed: bool = False
    """Whether the proxy sends all polls of a site to the same worker (nginx: `hash $arg_siteId consistent`)."""
    interval_s: float = 0.2
    """Between a worker's INSERTs to a shard when ClickHouse is busy (PULSEHOUSE_COMMIT_INTERVAL_MS)."""

    @property
    def polls_s(self) -> float:
        return self.dashboards / self.poll_every_s

    @property
    def signals_s(self) -> float:
        return self.sites * self.signals_per_site_s


CORES_PER_NODE = 16
BUSY = 0.6
"""The share of a machine's cores that may be busy: the rest is for a bad moment, and so that nobody waits long."""
CYCLE_S = 1.0
"""The polls of so many seconds share statements while load is high: an answer is to come within about that."""
MOST_SITES = 1_000
"""In one statement (PULSEHOUSE_QUERY_MAX_SITES)."""
MOST_SHARDS = 1_000


def api_cores(load: Load, costs: Costs) -> float:
    return (load.polls_s * costs.poll_ms + load.signals_s * costs.track_ms) / 1000


def workers(load: Load, costs: Costs) -> int:
    """Of the API, each with a core of its own."""
    return math.ceil(api_cores(load, costs) / BUSY) or 1


def clickhouse_cores(load: Load, costs: Costs, shards: int) -> dict[str, float]:
    """On all shards together, by what they are busy with."""
    seen, number = max(1.0, load.sites * load.seen_share), workers(load, costs)
    # In a cycle a site is asked for once by every worker that somebody asks for it.
    askers = 1 if load.routed else number
    asked_s = seen * askers * (1 - math.exp(-load.polls_s * CYCLE_S / askers / seen)) / CYCLE_S
    statements_s = max(min(asked_s, shards * number / CYCLE_S), asked_s / MOST_SITES)
    statement_ms = costs.statement_ms + (costs.shard_ms if shards > 1 else 0)
    insert_ms = costs.insert_ms + (costs.shard_insert_ms if shards > 1 else 0)
    inserts_s = min(load.signals_s, shards * number / load.interval_s)
    look_ms = costs.look_ms + (costs.shard_look_ms * shards if shards > 1 else 0)
    parts_ms = {
        "statements": statements_s * statement_ms,
        "their sites": asked_s * costs.site_ms,
        "INSERTs": inserts_s * insert_ms,
        "their signals": load.signals_s * costs.signal_ms,
        "looks for changes": number * look_ms,
    }
    return {part: ms / 1000 for part, ms in parts_ms.items()}


def shards_needed(load: Load, costs: Costs) -> int | None:
    """The fewest shards that are busy no more than they may be; None where more of them do not help."""
    for shards in range(1, MOST_SHARDS):
        if sum(clickhouse_cores(load, costs, shards).values()) <= shards * CORES_PER_NODE * BUSY:
            return shards
    return None


def costs_of(run: Run) -> Costs:
    """The costs on one machine in a run, and what a lane of the cluster costs more."""
    alone, lane, of_cluster = {point.what: point for point in run.alone.points}, run.alone.lane, run.cluster.lane
    polls, singles, batches = alone.values()
    signal_ms = max(0.0, batches.clickhouse_us / 1000 - lane.insert.cpu_ms / batches.together)
    return Costs(
        statement_ms=lane.site.cpu_ms,
        site_ms=max(0.0, polls.clickhouse_us / 1000 - lane.site.cpu_ms / polls.together),
        shard_ms=of_cluster.site.cpu_ms - lane.site.cpu_ms,
        insert_ms=max(0.0, singles.clickhouse_us / 1000 - signal_ms) * singles.together,
        shard_insert_ms=of_cluster.insert.cpu_ms - lane.insert.cpu_ms,
        look_ms=1000 * run.alone.idle_cores,
        shard_look_ms=1000 * (run.cluster.idle_cores - run.alone.idle_cores) / run.shards,
        signal_ms=signal_ms,
        poll_ms=polls.api_us / 1000,
        track_ms=singles.api_us / 1000,
    )


def predicted_per_s(alone: Point, shards: int, costs: Costs) -> float:
    """What the cores that served one machine serve as a cluster: each shard gets its share of what waits."""
    together = alone.together / shards
    if alone.what == "polls":
        clickhouse_ms = (costs.statement_ms + costs.shard_ms) / together + costs.site_ms
    else:
        clickhouse_ms = (costs.insert_ms + costs.shard_insert_ms) / together + costs.signal_ms
    cores = alone.per_s * (alone.api_us + alone.clickhouse_us + alone.wrk_us) / 1e6
    return 1000 * cores / (clickhouse_ms + (alone.api_us + alone.wrk_us) / 1000)


def check(runs: dict[int, Run]) -> str:
    """What the model says of each cluster beside what was measured."""
    rows, found = [], {shards: costs_of(run) for shards, run in runs.items()}
    for shards, run in runs.items():
        costs = found[shards]
        for alone, measured in zip(run.alone.points, run.cluster.points, strict=True):
            predicted = predicted_per_s(alone, shards, costs)
            numbers = (alone.per_s, predicted, measured.per_s, measured.per_s / predicted)
            rows.append([f"{shards}", alone.what, *map(number, numbers)])
    head = ["Shards", "What, per s", "One machine", "Predicted", "Measured", "Measured / predicted"]
    costs_head = ["Cost", "Taken", *(f"beside {shards}" for shards in runs)]
    costs_rows = (
        [name, *(number(getattr(costs, name)) for costs in (Costs(), *found.values()))]
        for name in Costs.__struct_fields__
    )
    return table(head, rows, "rlrrrr") + "\n" + table(costs_head, costs_rows, "l" + "r" * (len(runs) + 1))


def needs(costs: Costs) -> str:
    """What some loads need."""
    rows = []
    for sites in (10_000, 100_000, 1_000_000):
        for dashboards in (100_000, 1_000_000):
            load = Load(sites, dashboards)
            routed = msgspec.structs.replace(load, routed=True)
            apart = msgspec.structs.replace(routed, interval_s=1.0)
            memory_mb = sites * costs.site_memory_kb / 1024
            numbers = (sites, dashboards, load.polls_s, load.signals_s, workers(load, costs))
            shards = [str(shards_needed(one, costs) or "more do not help") for one in (load, routed, apart)]
            parts = clickhouse_cores(load, costs, shards_needed(load, costs) or MOST_SHARDS)
            most = max(parts, key=lambda part: parts[part])
            busy = f"{most}, {parts[most] / sum(parts.values()):.0%}"
            rows.append([*(f"{number:,.0f}" for number in numbers), busy, *shards, f"{memory_mb:,.0f} MB"])
    head = [
        "Sites",
        "Dashboards",
        "Polls/s",
        "Signals/s",
        "API workers",
        "ClickHouse's cores, most",
        "Shards",
        "Polls routed",
    ]
    head += ["and INSERTs 1 s apart", "A worker's memory"]
    return table(head, rows, "rrrrrlrrrr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--costs", type=lambda text: msgspec.json.decode(text, type=Costs), default=Costs(), help="JSON"
    )
    parser.add_argument("--check", type=Path, metavar="FILE", help="results of `python -m bench.cluster`")
    options = parser.parse_args()
    if options.check:
        print(check(msgspec.json.decode(options.check.read_bytes(), type=Results).runs))
    else:
        print(needs(options.costs))


if __name__ == "__main__":
    main()
