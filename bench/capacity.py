"""`python -m bench.capacity`: how many cores and shards a load needs, from measured costs of its parts.

Every number of Costs is measured by a command of this repository; give your own machine's with --costs. The model adds
up the time of cores, so it says where a load begins to queue, not how long answers take below that.
"""

import argparse
import math

import msgspec


class Costs(msgspec.Struct, frozen=True):
    """What the parts cost, in milliseconds of one core of the machine that serves them, as measured on an EPYC."""

    statement_ms: float = 8.0
    """Of ClickHouse: a realtime statement of one site (`make bench`, the profile)."""
    site_ms: float = 0.075
    """Each further site of it, with 50 active visitors (the same: 150 sites take 19 ms, 1,000 take 81)."""
    shard_ms: float = 6.5
    """What a statement through a Distributed table costs more (`python -m bench.cluster`)."""
    insert_ms: float = 25.0
    """An INSERT with its two views, and the merges that follow."""
    signal_ms: float = 0.012
    """Each signal of an INSERT (P6: 66,152 a second on 2 cores, about half of them ClickHouse's)."""
    poll_ms: float = 0.16
    """Of the API: a poll (P1: 3,125 a second on 2 cores, of which the workers take a quarter)."""
    track_ms: float = 0.25
    """Of the API: a signal in a request of its own (P5: 3,373 a second, the workers take four tenths)."""
    site_memory_kb: float = 2.7
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
INTERVAL_S = 0.2
"""Between a worker's INSERTs to a shard (PULSEHOUSE_COMMIT_INTERVAL_MS)."""
MOST_SITES = 1_000
"""In one statement (PULSEHOUSE_QUERY_MAX_SITES)."""
MOST_SHARDS = 1_000


def api_cores(load: Load, costs: Costs) -> float:
    return (load.polls_s * costs.poll_ms + load.signals_s * costs.track_ms) / 1000


def workers(load: Load, costs: Costs) -> int:
    """Of the API, each with a core of its own."""
    return math.ceil(api_cores(load, costs) / BUSY) or 1


def clickhouse_cores(load: Load, costs: Costs, shards: int) -> float:
    """On all shards together."""
    seen, number = max(1.0, load.sites * load.seen_share), workers(load, costs)
    # In a cycle a site is asked for once by every worker that somebody asks for it.
    askers = 1 if load.routed else number
    asked_s = seen * askers * (1 - math.exp(-load.polls_s * CYCLE_S / askers / seen)) / CYCLE_S
    statements_s = max(min(asked_s, shards * number / CYCLE_S), asked_s / MOST_SITES)
    inserts_s = min(load.signals_s, shards * number / INTERVAL_S)
    read_ms = statements_s * (costs.statement_ms + (costs.shard_ms if shards > 1 else 0)) + asked_s * costs.site_ms
    return (read_ms + inserts_s * costs.insert_ms + load.signals_s * costs.signal_ms) / 1000


def shards_needed(load: Load, costs: Costs) -> int | None:
    """The fewest shards that are busy no more than they may be; None where more of them do not help."""
    for shards in range(1, MOST_SHARDS):
        if clickhouse_cores(load, costs, shards) <= shards * CORES_PER_NODE * BUSY:
            return shards
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--costs", type=lambda text: msgspec.json.decode(text, type=Costs), default=Costs(), help="JSON"
    )
    costs = parser.parse_args().costs
    names = (
        "sites",
        "dashboards",
        "polls/s",
        "signals/s",
        "API workers",
        "shards",
        "polls routed",
        "a worker's memory",
    )
    print(f"| {' | '.join(names)} |")
    print("|--:" * len(names) + "|")
    for sites in (10_000, 100_000, 1_000_000):
        for dashboards in (100_000, 1_000_000):
            load, routed = Load(sites, dashboards), Load(sites, dashboards, routed=True)
            memory_mb = sites * costs.site_memory_kb / 1024
            numbers = (sites, dashboards, load.polls_s, load.signals_s, workers(load, costs))
            needs = [shards_needed(one, costs) or "more do not help" for one in (load, routed)]
            cells = [*(f"{number:,.0f}" for number in numbers), *map(str, needs), f"{memory_mb:,.0f} MB"]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
