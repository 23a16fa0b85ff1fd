"""`python -m faults`: run the service, break and attack it for a while, then account for every signal."""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime

from faults.account import account, memory_bound_mb
from faults.attacks import HOSTILE_SITE, LARGE_SITE, Attacks, Size
from faults.attacks import SETTINGS as ATTACK_SETTINGS
from faults.breaks import FAULTS, SHARD_SETTINGS, Breaks
from faults.breaks import SETTINGS as BREAK_SETTINGS
from faults.ground import Ground
from faults.report import show
from faults.traffic import SITES, Traffic

QUIET = "quiet"
ATTACKS = ("hostile", "costly", "large", "stopped", "proxy")
WARM_UP_S = 1
SETTLE_S = 3
PATIENCE_S = 20
LOOK_EVERY_S = 0.1


class Run:
    """The trials one after the other, each with the API started anew; traffic goes on meanwhile."""

    def __init__(self, ground: Ground, seed: int, size: Size) -> None:
        self.ground = ground
        self.chance = random.Random(seed)
        self.size = size
        self.memory_mb: defaultdict[str, float] = defaultdict(float)
        self.bounds_mb: dict[str, float] = {}
        self.well_seconds: dict[str, float] = {}
        self.stops: list[tuple[str, int, float]] = []
        for proxy in ground.proxies:
            proxy.oddities.chance = random.Random(seed)

    async def prepare(self) -> None:
        """Make sites and keys of three tenants."""
        sites = [("acme", SITES), ("hostile", [HOSTILE_SITE]), ("large", [LARGE_SITE])]
        keys = [("acme", "read"), ("acme", "write"), ("hostile", "write"), ("large", "read")]
        command = self.ground.command
        await command("migrate")
        for tenant, ids in sites:
            lines = "".join(f"{site_id.replace('_', '-')}.example,{site_id}\n" for site_id in ids)
            await command("site", "import", "-", "--tenant", tenant, lines=f"domains,id\n{lines}")
        made = [command("key", "create", "--tenant", tenant, "--scope", scope) for tenant, scope in keys]
        read, own_write, write, large = [answer["token"] for answer in await asyncio.gather(*made)]
        shards = [[one for one in SITES if self.ground.shard_of(one) == shard] for shard in range(self.ground.shards)]
        self.traffic = Traffic(self.ground.url, read, own_write, self.chance, shards)
        self.breaks = Breaks(self.ground, self.traffic, self.chance)
        self.attacks = Attacks(self.ground, self.traffic, self.size, write_token=write, large_token=large)

    async def go(self, trials: list[str], fault_seconds: float) -> None:
        """Run the trials in this order."""
        look = asyncio.create_task(self._look_at_memory())
        for trial in trials:
            self.ground.let_pass("odd" if trial == "proxy" else "pass")
            breaks = BREAK_SETTINGS if self.ground.shards == 1 else SHARD_SETTINGS
            await self.ground.start_api(breaks if trial == FAULTS else ATTACK_SETTINGS)
            if trial == trials[0]:
                self.traffic.start()
            if trial == "large":
                await asyncio.to_thread(self.attacks.fill)
            await asyncio.sleep(WARM_UP_S)
            self.traffic.trial = trial
            await self._play(trial, fault_seconds)
            self.well_seconds[trial] = await self.traffic.seconds_until_well(PATIENCE_S)
            await asyncio.sleep(min(SETTLE_S, self.size.seconds))
            self.traffic.trial = ""
            if trial == trials[-1]:
                await self.traffic.end()
            self.stops.append((trial, *await self.ground.stop_api()))
            await self.attacks.end()
            self.bounds_mb[trial] = memory_bound_mb(self.ground.settings, self.memory_mb[QUIET], self.size.connections)
        look.cancel()
        self.stops += [(FAULTS, *stop) for stop in self.breaks.stops]

    async def _play(self, trial: str, fault_seconds: float) -> None:
        if trial == QUIET:
            await asyncio.sleep(self.size.seconds)
        elif trial == FAULTS:
            await self.breaks.go_on(fault_seconds)
        else:
            attacks = self.attacks
            plays = (attacks.hostile, attacks.costly, attacks.large, attacks.stopped, attacks.proxy)
            await dict(zip(ATTACKS, plays, strict=True))[trial]()

    async def _look_at_memory(self) -> None:
        while True:
            if trial := self.traffic.trial:
                self.memory_mb[trial] = max(self.memory_mb[trial], self.ground.worker_memory_mb())
            await asyncio.sleep(LOOK_EVERY_S)

    def happened(self) -> dict[str, str]:
        """What was broken, and how often the attacks came through."""
        return {
            "faults": self.breaks.listed() or "none",
            "answers of the odd proxy": _listed(
                sum((proxy.oddities.counts for proxy in self.ground.proxies), Counter[str]())
            ),
            "answers for the large site": str(self.attacks.large_answers),
        }


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items())) or "none"


async def run(arguments: argparse.Namespace) -> bool:
    """Play all that is asked for, print the account, and return whether the promises held."""
    trials = [QUIET, *(trial for trial in (FAULTS, *ATTACKS) if trial in arguments.attacks)]
    size = Size(arguments.attack_seconds, arguments.connections, arguments.large_bodies, arguments.large_visitors)
    with tempfile.TemporaryDirectory(prefix="pulsehouse-faults-", ignore_cleanup_errors=True) as folder:
        ground = Ground(arguments.clickhouse, folder, arguments.workers, arguments.shards)
        try:
            await ground.start()
            trial = Run(ground, arguments.seed, size)
            await trial.prepare()
            await trial.go(trials, arguments.seconds)
            found = account(
                ground,
                trial.traffic,
                trials,
                trial.memory_mb,
                trial.bounds_mb,
                trial.well_seconds,
                trial.stops,
                trial.breaks.all,
            )
        finally:
            ground.end()
    size_of_all = f"--shards {arguments.shards} --workers {arguments.workers}"
    command = f"{size_of_all} --seed {arguments.seed} --attacks {','.join(trials[1:])}"
    title = f"python -m faults {command}, {datetime.now(UTC):%d %B %Y}"
    show(title, found, back_seconds=trial.traffic.back_seconds, happened=trial.happened())
    return not found.broken


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - {FAULTS, *ATTACKS}:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {FAULTS},{','.join(ATTACKS)}")
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long faults go on")
    parser.add_argument("--attack-seconds", type=float, default=20, help="how long each attack, and the quiet before")
    parser.add_argument(
        "--attacks",
        type=_parts,
        default=[FAULTS, *ATTACKS],
        help=f"what is done to the service, separated by commas; default: {FAULTS},{','.join(ATTACKS)}",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="which faults, in which order")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1, help="servers of ClickHouse, together a cluster if several")
    parser.add_argument("--connections", type=int, default=400, help="that a hostile client holds")
    parser.add_argument("--large-bodies", type=int, default=400, help="sent while ClickHouse stands still")
    parser.add_argument("--large-visitors", type=int, default=300_000, help="of the large site")
    parser.add_argument(
        "--clickhouse",
        default=os.environ.get("PULSEHOUSE_TEST_FAULTS_CLICKHOUSE", ""),
        help="command that runs a ClickHouse server in the foreground, with {port} (HTTP) and {path} (its data) in it, "
        "for several shards {tcp_port} and {config} (a file with remote_servers) too; "
        "default: PULSEHOUSE_TEST_FAULTS_CLICKHOUSE",
    )
    arguments = parser.parse_args()
    if not arguments.clickhouse:
        parser.error("--clickhouse: give the command that runs a ClickHouse server")
    sys.exit(0 if asyncio.run(run(arguments)) else 1)


if __name__ == "__main__":
    main()
