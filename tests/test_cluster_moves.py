"""From one machine to a cluster, and between clusters, by the statements of docs/cluster.md, word for word.

PULSEHOUSE_TEST_CLUSTER_CLICKHOUSE is a command that runs a ClickHouse server in the foreground, with {port} (HTTP),
{tcp_port}, {path} (its data) and {config} (more of its configuration). Three are started, which know two clusters.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from app.store.cluster import OWN
from app.wiring import create_app, create_store
from tests.conftest import UNHURRIED, Api, Clock
from tests.kit.databases import connection, drop, new_name, url_of
from tests.kit.servers import Server, make_servers
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import LOOK_EVERY_S, until, wait_until

COMMAND = os.environ.get("PULSEHOUSE_TEST_CLUSTER_CLICKHOUSE", "")
CLUSTERS = {"two": (0, 1), "three": (0, 1, 2)}
MACHINE = "a machine"

DOCUMENT = Path(__file__).parent.parent / "docs/cluster.md"
SECTION = DOCUMENT.read_text(encoding="utf-8").partition("## From one machine to a cluster\n")[2].partition("\n## ")[0]
COPY, REST, COMPARE, ANEW = [block.split(";\n") for block in re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)]

SITES = [f"site_{number}" for number in range(9)]
RIVALS = [f"rival_{number}" for number in range(3)]
CLEARED, REMOVED = "site_cleared", "site_removed"
"""The old service deletes the rows of one after they have been copied, and has those of the other when it stops."""
DAYS = 3
SENDERS = 4
PAUSE_S = 0.05
"""Between the signals of a sender: not to fill the database, whose rows are compared."""
KEYED = {"siteId": "site_0", "visitorId": "keyed", "path": "/keyed"}
TOO_LATE = {"error": "Idempotency-Key: first used over 10 minutes ago"}

SIGNALS = f"SELECT * FROM signals WHERE site_id NOT IN ('{CLEARED}', '{REMOVED}') ORDER BY ALL"
MINUTES = (
    "SELECT site, minute, visitor_id, max(previous_visitor_id), sum(pageviews), min(latest), min(source) "
    "FROM visitor_minutes GROUP BY ALL ORDER BY ALL"
)
SALTS = "SELECT * FROM salts ORDER BY ALL"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three servers, on which clusters lie as CLUSTERS says."""
    if not COMMAND:
        pytest.skip("no command that runs a server of a cluster; set PULSEHOUSE_TEST_CLUSTER_CLICKHOUSE")
    servers = make_servers(COMMAND, tmp_path_factory.mktemp("servers"), CLUSTERS, 3)
    try:
        for server in servers:
            server.start()
        for server in servers:
            wait_until(server.answers)
        yield servers
    finally:
        for server in servers:
            server.end()


class Place:
    """A database, on one machine or on a cluster, and services on it."""

    def __init__(self, servers: list[Server], kind: str, removal_delay_ms: int) -> None:
        self.name = new_name()
        self.urls = [url_of(servers[number].url, self.name) for number in CLUSTERS.get(kind, (0,))]
        self._settings = msgspec.structs.replace(
            UNHURRIED,
            clickhouse_url=",".join(self.urls),
            clickhouse_cluster=kind if kind in CLUSTERS else "",
            removal_delay_ms=removal_delay_ms,
        )

    async def migrate(self) -> None:
        """What `pulsehouse migrate` does."""
        store = create_store(self._settings)
        await store.prepare()
        await store.close(0)

    @asynccontextmanager
    async def service(self, clock: Clock, **settings: int) -> AsyncIterator[Api]:
        """A service on it, with these settings changed."""
        of_it = msgspec.structs.replace(self._settings, **settings)
        store = create_store(of_it, clock=clock)
        await store.start()
        transport = httpx.ASGITransport(create_app(of_it, store), client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://pulsehouse.test", timeout=60) as client:
            try:
                yield Api(store, client, clock)
            finally:
                await store.close(60)


class Operator:
    """Runs the statements of the document on a node, each twice, as after an error."""

    def __init__(self, server: Server, old: Place, new: Place, remote: Server | None = None) -> None:
        """The old database is on this node, or on a server of the cluster's network alone."""
        self._server, self._old, self._new, self._remote = server, old, new, remote

    def run(self, statement: str, *, on: str = "", **parameters: str) -> list[tuple[Any, ...]]:
        """Its rows, if it has any."""
        there = rf"{self._old.name}.\1"
        if self._remote:
            there = rf"remote('127.0.0.1:{self._remote.tcp_port}', {self._old.name}.\1, 'default', '')"
        statement = re.sub(r"\bpulsehouse\.(\w+)", there, statement)
        statement = re.sub(r"\blive(_local)?\.(\w+)", rf"{self._new.name}\1.\2", statement)
        with connection(on or self._server.url) as client:
            if statement.startswith("SELECT"):
                return [tuple(row) for row in client.query(statement, parameters).result_rows]
            for _ in range(2):
                client.command(statement, parameters)
        return []

    def begin_anew(self, day: datetime) -> None:
        for url in self._new.urls:
            for statement in ANEW:
                self.run(statement, on=url, day=f"{day:%F}")

    def copy(self, first: datetime, end: datetime) -> None:
        (statement,) = COPY
        self.run(statement, first=f"{first:%F %T}", until=f"{end:%F %T}")


class Senders:
    """Visitors who go on whatever happens; `api` is who takes their signals now."""

    def __init__(self) -> None:
        self.api: Api | None = None
        self.acknowledged: list[str] = []
        self.refused = 0
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(SENDERS)]

    async def _send(self, sender: int) -> None:
        for number in count():
            while not (api := self.api):
                await asyncio.sleep(LOOK_EVERY_S)
            page = f"/sent/{sender}/{number}"
            signal = {"siteId": SITES[number % len(SITES)], "path": page}
            if (await api.track(signal, User_Agent=f"{BROWSER} {sender}")).status_code == 200:
                self.acknowledged.append(page)
            else:
                self.refused += 1
            await asyncio.sleep(PAUSE_S)

    async def have_sent_to_all_sites(self) -> None:
        """Return when each has had signals of every site acknowledged since this was called."""
        enough = len(self.acknowledged) + 2 * SENDERS * len(SITES)
        await until(lambda: len(self.acknowledged) >= enough)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def answers(api: Api, tokens: dict[str, str]) -> dict[str, Any]:
    """All that is told of the sites: live, over a day, by page, of all at once; and who may do what."""
    found: dict[str, Any] = {}
    for site_id, tenant in [*((site, "acme") for site in SITES), *((site, "rival") for site in RIVALS)]:
        for path in ("realtime?", "realtime/history?minutes=1440&", "realtime/breakdown?by=page&"):
            path = f"/api/{path}siteId={site_id}"
            found[path] = (await api.get(path, tokens[tenant])).json()
    for name, token in tokens.items():
        for path in ("realtime/overview", "sites", "keys", f"realtime?siteId={REMOVED}", f"realtime?siteId={CLEARED}"):
            answer = await api.get(f"/api/{path}", token)
            found[f"{path} for {name}"] = answer.status_code, answer.json()
    return found


async def live_a_while(api: Api, clock: Clock) -> dict[str, str]:
    """Some days of two tenants; return tokens by their names."""
    for site_id in [*SITES, CLEARED, REMOVED]:
        await api.store.tenants.add_site(site_id, "acme", ["example.com"], site_id)
    for site_id in RIVALS:
        await api.store.tenants.add_site(site_id, "rival", ["example.org"], site_id)
    tokens = {name: (await api.add_key("admin", name))[1] for name in ("acme", "rival")}
    key_id, tokens["revoked"] = await api.add_key("admin")
    await api.store.tenants.revoke_key(key_id)
    await api.store.refresh()
    now = clock.now
    for day in range(DAYS, -1, -1):
        clock.now = now - timedelta(days=day, hours=1 if day == 0 else 0)
        for tenant, sites in (("acme", [*SITES, CLEARED, REMOVED]), ("rival", RIVALS)):
            for number in range(5):
                events = [
                    {"siteId": site, "visitorId": f"v{number % 3}", "path": f"/{day}/{number}", "country": "DE"}
                    for site in sites
                ]
                assert (await api.track({"batch": True, "events": events}, tokens[tenant])).status_code == 200
            clock.advance(61)
    clock.now = now
    return tokens


async def has_none(api: Api, site_id: str) -> bool:
    """Whether there are no rows of a site."""
    site = f"reinterpretAsUInt128(SHA256('{site_id}'))"
    return (
        await api.select(
            f"SELECT (SELECT count() FROM signals WHERE site_id = '{site_id}'), "
            f"(SELECT count() FROM visitor_minutes WHERE site = {site}), "
            f"(SELECT count() FROM recent_pageviews WHERE site = {site})"
        )
        == "0\t0\t0"
    )


@pytest.mark.parametrize(
    ("from_kind", "to_kind", "on_old"),
    [
        pytest.param(MACHINE, "three", True, id="to 3 shards"),
        pytest.param(MACHINE, "two", False, id="to 2 shards from elsewhere", marks=pytest.mark.deep),
        pytest.param("two", "three", True, id="from 2 to 3 shards"),
        pytest.param("three", "two", True, id="from 3 to 2 shards", marks=pytest.mark.deep),
    ],
)
async def test_on_another_cluster_everything_is_there_once_and_answers_are_the_same(
    servers: list[Server], from_kind: str, to_kind: str, on_old: bool
) -> None:
    old, new = Place(servers, from_kind, removal_delay_ms=600_000), Place(servers, to_kind, removal_delay_ms=1)
    operator = Operator(servers[0] if on_old else servers[1], old, new, None if on_old else servers[0])
    clock = Clock()
    half_an_hour_ago = clock.now - timedelta(minutes=30)
    midnights = [datetime.combine(clock.now - timedelta(days=day), time(), UTC) for day in range(DAYS, -1, -1)]
    *days, rest = [*(midnight for midnight in midnights if midnight < half_an_hour_ago), half_an_hour_ago]
    senders = Senders()
    try:
        async with old.service(clock) as api:
            tokens = await live_a_while(api, clock)
            senders.api = api
            await new.migrate()
            for first, end in pairwise([*days, rest]):
                operator.copy(first, end)
            operator.begin_anew(days[0])
            operator.copy(*[*days, rest][:2])
            await api.store.tenants.remove_site(CLEARED)
            await api.store.refresh()
            async with old.service(clock, removal_delay_ms=1) as other:
                await until(lambda: has_none(other, CLEARED))
            assert (await api.track(KEYED, tokens["acme"], Idempotency_Key="k")).status_code == 200
            await senders.have_sent_to_all_sites()
            await api.store.tenants.remove_site(REMOVED)
            await api.store.stop(60)
            await until(lambda: senders.refused)
            senders.api = None
        async with old.service(clock) as api:
            before = await answers(api, tokens)
            rows = [await api.select(rows) for rows in (SIGNALS, SALTS)]
            assert not await has_none(api, REMOVED)

        operator.copy(rest, midnights[-1] + timedelta(days=1))
        for statement in REST:
            operator.run(statement)
        assert operator.run(*COMPARE) == []

        async with new.service(clock) as api:
            assert await answers(api, tokens) == before
            again = await api.track(KEYED, tokens["acme"], Idempotency_Key="k")
            assert (again.status_code, again.json()) == (422, TOO_LATE)
            await until(lambda: has_none(api, CLEARED))
            await until(lambda: has_none(api, REMOVED))
            assert [await api.select(rows) for rows in (SIGNALS, SALTS)] == rows
            senders.api = api
            await senders.have_sent_to_all_sites()
            acknowledged = list(senders.acknowledged)
            found = Counter((await api.select("SELECT page FROM signals WHERE startsWith(page, '/sent/')")).split())
            assert [page for page in acknowledged if found[page] != 1] == []
            # Those who go on are the visitors whom the old service knew.
            assert await api.select(
                "SELECT uniqExact(visitor_id, site_id) FROM signals WHERE page LIKE '/sent/%'"
            ) == str(SENDERS * len(SITES))
    finally:
        await senders.end()
        for server in servers:
            for place in (old, new):
                drop(url_of(server.url, place.name))
                drop(url_of(server.url, place.name + OWN))
