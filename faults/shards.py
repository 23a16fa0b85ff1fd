"""`python -m faults.shards`: stop, kill and restart nodes of a cluster under traffic, then account for every signal.

Takes the cluster from CLICKHOUSE_NODES: JSON, of each node its `url`, `http_port`, `pid` and the `command` that
starts it, one node a shard, the cluster called `pulsehouse`. At the end the nodes that were killed are gone.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import clickhouse_connect
import httpx

from app.store.cluster import OWN
from app.store.statements import load_statements
from tests.kit.clusters import NAME, drop_everywhere
from tests.kit.databases import new_name, url_of
from tests.kit.model import contradictions
from tests.kit.ports import free_port
from tests.kit.service import PULSEHOUSE, ROOT, environment
from tests.kit.user_agents import BROWSER

SQL = load_statements(Path(__file__).parent / "sql")
SITES = [f"site_{number}" for number in range(24)]
SENDERS, POLLERS = 6, 6
WAIT_S = 0.05
PATIENCE_MS = "30000"
BACK_AFTER_S = 15.0
"""So long after a node is back its sites may still be 503: looks and repeated INSERTs find it again by then."""
AWAY_S = (2.0, 6.0)


@dataclass
class Sent:
    """A signal: its site, its mark, when it was sent, and what came of it (0: no answer)."""

    site_id: str
    mark: str
    sent_at: float
    answered_at: float = 0.0
    status: int = 0


@dataclass
class Refused:
    """A 503, or no answer: when it was asked for and refused, and whose site it was."""

    shard: int
    asked_at: float
    at: float


@dataclass
class Seen:
    """What happened and what came of it."""

    sent: list[Sent] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    breaks: list[tuple[str, int, float, float]] = field(default_factory=list)  # what, shard, from, to
    polls: Counter[int] = field(default_factory=Counter)


class Run:
    """The cluster, the service on it, and its traffic."""

    def __init__(self, nodes: list[dict[str, Any]], seed: int, log: IO[str] | int) -> None:
        self.log = log
        self.nodes = nodes
        self.urls = [node["url"] for node in nodes]
        self.database = new_name()
        self.port = free_port()
        self.chance = random.Random(seed)
        self.seen = Seen()
        self.shard_of: dict[str, int] = {}
        self.restarted: dict[int, subprocess.Popen[bytes]] = {}
        self.away: set[int] = set()
        self.over = False

    def environment(self) -> dict[str, str]:
        urls = ",".join(url_of(url, self.database) for url in self.urls)
        return environment(
            clickhouse_url=urls,
            clickhouse_cluster=NAME,
            track_max_signals_per_minute="0",
            # A 503 is to say that something was away, not that this machine is slow.
            query_timeout_ms=PATIENCE_MS,
            commit_timeout_ms=PATIENCE_MS,
            directory_max_age_ms=PATIENCE_MS,
        )

    def command(self, *words: str, lines: str = "") -> Any:
        """What `pulsehouse ... --json` prints, given these lines."""
        line = [PULSEHOUSE, *words, "--json"]
        done = subprocess.run(line, env=self.environment(), capture_output=True, input=lines, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads(done.stdout)

    def stored(self) -> Counter[str]:
        """How often each mark is stored, on all shards."""
        counts: Counter[str] = Counter()
        for shard, url in enumerate(self.urls):
            with clickhouse_connect.get_client(dsn=url_of(url, self.database + OWN)) as client:
                for site_id, mark, count in client.query(SQL["stored_on_shard"].text).result_rows:
                    self.shard_of[site_id] = shard
                    counts[mark] += count
        return counts

    async def send(self, client: httpx.AsyncClient, number: int) -> None:
        while not self.over:
            sent = Sent(self.chance.choice(SITES), uuid.uuid4().hex, time.time())
            self.seen.sent.append(sent)
            with suppress(httpx.TransportError):
                body = {"siteId": sent.site_id, "path": f"/{sent.mark}"}
                # Each mark is a visitor of its own.
                agent = {"User-Agent": f"{BROWSER} {sent.mark}"}
                sent.status = (await client.post("/api/track", json=body, headers=agent)).status_code
            sent.answered_at = time.time()
            self._note(sent.site_id, sent.status, sent.sent_at)
            await asyncio.sleep(WAIT_S)

    async def poll(self, client: httpx.AsyncClient, token: str) -> None:
        while not self.over:
            site_id, asked_at, status = self.chance.choice(SITES), time.time(), 0
            with suppress(httpx.TransportError):
                response = await client.get(
                    f"/api/realtime?siteId={site_id}", headers={"Authorization": f"Bearer {token}"}
                )
                status = response.status_code
                if status == 200:
                    self._check(site_id, asked_at, response.json())
            self.seen.polls[status] += 1
            self._note(site_id, status, asked_at)
            await asyncio.sleep(WAIT_S)

    def _note(self, site_id: str, status: int, asked_at: float) -> None:
        if status != 200:
            self.seen.refused.append(Refused(self.shard_of[site_id], asked_at, time.time()))

    def _check(self, site_id: str, asked_at: float, answer: dict[str, Any]) -> None:
        """An answer has everything that was acknowledged before it was asked for, and nothing that was not sent."""
        of_site = [sent for sent in self.seen.sent if sent.site_id == site_id]
        least = sum(
            sent.status == 200 and sent.answered_at < asked_at and sent.sent_at > asked_at - 230 for sent in of_site
        )
        if not least <= answer["activeVisitors"] <= len(of_site):
            self.seen.wrong.append(f"{site_id}: {answer['activeVisitors']} visitors, not {least} to {len(of_site)}")
        self.seen.wrong += contradictions(answer)

    async def break_nodes(self, until_s: float) -> None:
        shards = list(range(len(self.nodes)))
        while time.time() < until_s:
            for shard in self.chance.sample(shards, len(shards)):
                what = self.chance.choice(["killed", "stopped"])
                away_s = self.chance.uniform(*AWAY_S)
                started_at = time.time()
                self.away.add(shard)
                await (self._kill if what == "killed" else self._stop)(shard, away_s)
                self.away.discard(shard)
                self.seen.breaks.append((what, shard, started_at, time.time()))
                await asyncio.sleep(self.chance.uniform(1, 3))

    async def supervise(self) -> None:
        """Start nodes again that have ended by themselves, as a supervisor does, and count them."""
        while not self.over:
            await asyncio.sleep(0.2)
            for shard in range(len(self.nodes)):
                if shard not in self.away and not self._lives(shard):
                    since = time.time()
                    await self._start(shard)
                    self.seen.breaks.append(("ended by themselves", shard, since, time.time()))

    def _lives(self, shard: int) -> bool:
        try:
            return Path(f"/proc/{self._pid(shard)}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    async def _stop(self, shard: int, away_s: float) -> None:
        os.kill(self._pid(shard), signal.SIGSTOP)
        await asyncio.sleep(away_s)
        os.kill(self._pid(shard), signal.SIGCONT)

    async def _kill(self, shard: int, away_s: float) -> None:
        os.kill(self._pid(shard), signal.SIGKILL)
        if shard in self.restarted:
            self.restarted[shard].wait()
        await asyncio.sleep(away_s / 2)  # it takes as long again to start
        await self._start(shard)

    async def _start(self, shard: int) -> None:
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.restarted[shard] = subprocess.Popen(self.nodes[shard]["command"], **silent)  # type: ignore[call-overload]
        await until_200(f"http://127.0.0.1:{self.nodes[shard]['http_port']}/ping")

    def _pid(self, shard: int) -> int:
        return self.restarted[shard].pid if shard in self.restarted else int(self.nodes[shard]["pid"])

    def unjustified(self) -> list[Refused]:
        """Refusals while neither the site's own shard nor the first one was away, or had just come back."""
        return [
            refused
            for refused in self.seen.refused
            if not any(
                shard in (refused.shard, 0) and since <= refused.at and refused.asked_at <= until + BACK_AFTER_S
                for _, shard, since, until in self.seen.breaks
            )
        ]


async def until_200(url: str) -> None:
    give_up_s = time.monotonic() + 90
    async with httpx.AsyncClient(timeout=2) as client:
        while True:
            if time.monotonic() > give_up_s:
                sys.exit(f"{url} did not answer 200 within 90 s")
            with suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def go(run: Run, seconds: float) -> list[str]:
    """Run it and return the promises that were broken."""
    lines = "domains,id\n" + "".join(f"{number}.example,{site_id}\n" for number, site_id in enumerate(SITES))
    run.command("site", "import", "-", "--tenant", "acme", lines=lines)
    token = run.command("key", "create", "--tenant", "acme", "--scope", "read")["token"]
    log = {"stdout": subprocess.DEVNULL, "stderr": run.log}
    serve = [PULSEHOUSE, "serve", "--port", str(run.port), "--workers", "2"]
    api = subprocess.Popen(serve, cwd=ROOT, env=run.environment(), **log)  # type: ignore[call-overload]
    try:
        base = f"http://127.0.0.1:{run.port}"
        await until_200(f"{base}/ready")
        async with httpx.AsyncClient(base_url=base, timeout=60) as client:
            for site_id in SITES:  # one signal each: so it is seen where each site is
                await client.post(
                    "/api/track", json={"siteId": site_id, "path": "/first"}, headers={"User-Agent": BROWSER}
                )
                run.seen.sent.append(Sent(site_id, "first", time.time()))
            run.stored()
            traffic = [asyncio.create_task(run.send(client, number)) for number in range(SENDERS)]
            traffic += [asyncio.create_task(run.poll(client, token)) for _ in range(POLLERS)]
            traffic.append(asyncio.create_task(run.supervise()))
            await run.break_nodes(time.time() + seconds)
            await asyncio.sleep(BACK_AFTER_S)
            run.over = True
            await asyncio.gather(*traffic)
            for node in run.nodes:
                await until_200(f"http://127.0.0.1:{node['http_port']}/ping")
            for site_id in SITES:
                await until_200_poll(client, site_id, token)
    finally:
        api.terminate()
        api.wait()
    return show(run)


async def until_200_poll(client: httpx.AsyncClient, site_id: str, token: str) -> None:
    async with asyncio.timeout(60):
        while (
            await client.get(f"/api/realtime?siteId={site_id}", headers={"Authorization": f"Bearer {token}"})
        ).status_code != 200:
            await asyncio.sleep(0.1)


def show(run: Run) -> list[str]:
    """Print the account; return the promises that were broken."""
    seen, stored = run.seen, run.stored()
    acknowledged = [sent.mark for sent in seen.sent if sent.status == 200]
    missing = sum(not stored[mark] for mark in acknowledged)
    twice = sum(count > 1 for mark, count in stored.items() if mark != "first")
    by_break: defaultdict[str, list[int]] = defaultdict(list)
    for what, shard, *_ in seen.breaks:
        by_break[what].append(shard + 1)
    unjustified = run.unjustified()
    rows = {
        "nodes killed and started again, by shard": dict(sorted(Counter(by_break["killed"]).items())),
        "nodes stopped, by shard": dict(sorted(Counter(by_break["stopped"]).items())),
        "nodes that ended by themselves": len(by_break["ended by themselves"]),
        "signals sent": len(seen.sent),
        "acknowledged": len(acknowledged),
        "acknowledged and missing": missing,
        "stored twice": twice,
        "polls by status": dict(sorted(seen.polls.items())),
        "wrong answers": len(seen.wrong),
        "503 of sites whose shard, and the first one, were there": len(unjustified),
    }
    for what, value in rows.items():
        print(f"| {what} | {value} |")
    for wrong, count in Counter(seen.wrong).most_common(5):
        print(f"wrong: {count} x {wrong}")
    return [what for what in list(rows)[5:] if what != "polls by status" and rows[what]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long nodes are broken")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--log", type=argparse.FileType("w"), default=subprocess.DEVNULL, help="file for the API's log")
    options = parser.parse_args()
    nodes = json.loads(os.environ.get("CLICKHOUSE_NODES", "[]"))
    if not nodes:
        parser.error("no cluster; CLICKHOUSE_NODES must name its nodes")
    print(f"{len(nodes)} shards, {options.seconds:.0f} s, --seed {options.seed}")
    run = Run(nodes, options.seed, options.log)
    try:
        broken = asyncio.run(go(run, options.seconds))
        drop_everywhere(run.urls, run.database)
    finally:
        for node in run.restarted.values():
            node.kill()
    if broken:
        sys.exit(f"BROKEN: {'; '.join(broken)}")


if __name__ == "__main__":
    main()
