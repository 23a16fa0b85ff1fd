"""Whole answers against the model, on generated traffic: several tenants, sites, visitors, workers and clocks.

PULSEHOUSE_TEST_HISTORIES sets how many histories the long form generates per engine (default 30).
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio.from_thread
import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.domain.sites import Site
from app.settings import Settings
from app.store.statements import Statement
from app.wiring import create_app, create_store
from tests.conftest import Api, Clock, make_engine
from tests.kit.clusters import drop_everywhere, settings_of
from tests.kit.databases import new_name
from tests.kit.model import DIMENSIONS, Sent, answer, breakdown, contradictions, history

HISTORIES = int(os.environ.get("PULSEHOUSE_TEST_HISTORIES", "30"))
STEPS = 10
WORKERS = 2
TENANTS = ("acme", "rival")
KINDS = ("pageview", "pageview", "pageview", "event", "engagement", "heartbeat")
PAGES = ("/", "/a", "/b", "/Ä", "/日本/😀", '/"quoted"\\', "/z" * 40)
Result = TypeVar("Result")
serial = count()


class World:
    """Two workers on one database, driven from outside their event loop, at the time of one clock."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal, workers: list[Api], clock: Clock) -> None:
        self.run: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any] = portal.call
        self.workers = workers
        self.clock = clock

    def new_sites(self) -> list[tuple[str, Site]]:
        """Three fresh sites, two of one tenant."""
        sites = [Site(f"site_{next(serial)}", tenant, ("example.com",), "x") for tenant in (*TENANTS, TENANTS[0])]

        async def add() -> None:
            for site in sites:
                await self.workers[0].store.tenants.add_site(site.id, site.tenant, list(site.domains), site.name)
            for worker in self.workers:
                await worker.store.tenants.refresh()

        self.run(add)
        return [(site.id, site) for site in sites]

    def token(self, worker: int, site: Site) -> str:
        return self.workers[worker].read if site.tenant == TENANTS[0] else self.workers[worker].write

    async def poll(self, worker: int, site: Site) -> dict[str, Any]:
        return await self.workers[worker].realtime(site.id, self.token(worker, site))

    async def ask(self, worker: int, site: Site, what: str, **parameters: str | int) -> dict[str, Any]:
        """The answer of GET /api/realtime/{what}."""
        response = await self.workers[worker].client.get(
            f"/api/realtime/{what}",
            params={"siteId": site.id, **parameters},
            headers={"Authorization": f"Bearer {self.token(worker, site)}"},
        )
        assert response.status_code == 200, response.text
        return dict(response.json())


@pytest.fixture(scope="module")
def world(
    engine_name: str, server_or_none: str, embedded_folder: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    database = new_name()
    clock = Clock()
    urls = request.getfixturevalue("cluster_urls") if engine_name == "cluster" else []

    async def start() -> list[Api]:
        workers = []
        tokens: list[str] = []
        for number in range(WORKERS):
            engine = None if urls else make_engine(engine_name, server_or_none, embedded_folder, database)
            where = settings_of(urls, database) if urls else {}
            given = Settings(
                track_max_signals_per_minute=0,
                commit_interval_ms=0,
                directory_max_age_ms=600_000,
                **where,  # type: ignore[arg-type]
            )
            store = create_store(given, engine=engine, clock=clock)
            await store.prepare()
            if not number:
                tokens = [(await store.tenants.create_key(tenant, "admin", "", None))[1] for tenant in TENANTS]
            await store.tenants.refresh()
            store.inserts.start()
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(create_app(Settings(), store)), base_url="http://x"
            )
            worker = Api(store, client, clock)
            worker.read, worker.write = tokens
            workers.append(worker)
        return workers

    async def stop() -> None:
        if not urls:
            await workers[0].store.engine.execute(Statement("test", f"DROP DATABASE {database}"))
        for worker in workers:
            await worker.client.aclose()
            await worker.store.close(1)
        drop_everywhere(urls, database)

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        workers = portal.call(start)
        yield World(portal, workers, clock)
        portal.call(stop)


events = st.fixed_dictionaries(
    {
        "site": st.integers(0, 2),
        "visitor": st.one_of(st.sampled_from("ab"), st.sampled_from("abcdef")),
        "page": st.one_of(st.sampled_from(PAGES), st.integers(0, 150).map(lambda n: f"/{n}")),
        "type": st.sampled_from(KINDS),
        "country": st.sampled_from([None, "DE", "US"]),
        "referrer": st.sampled_from(["", "", "google.com", "news.example", "example.com", "www.example.com"]),
        "utm": st.sampled_from([None, None, {"source": "mail"}, {"medium": "cpc", "campaign": "ü*"}]),
        # None: stamped on arrival; else so many seconds old, up to 5 s ahead
        "age": st.one_of(
            st.none(), st.sampled_from([0, 0, 1, 59, 60, 240, 300]), st.integers(-5, 1), st.integers(-5, 300)
        ),
    }
)
crowds = st.integers(30, 130).map(
    lambda n: [
        {
            "site": 0,
            "visitor": f"v{i}",
            "page": f"/{i % 110}",
            "type": "pageview",
            "country": None,
            "referrer": f"{i % 105}.example",
            "utm": None,
            "age": i % 200,
        }
        for i in range(n)
    ]
)
# Where the clock starts: any time of a minute, at the hour, around midnight.
BY_DAY = ("12:00:00", "12:00:57", "09:59:58", "15:30:30")
BY_NIGHT = ("23:56:30", "23:58:01", "23:59:55", "23:59:57", "23:59:59", "00:02:00")
starts = st.sampled_from(BY_DAY + BY_NIGHT)
filters = st.dictionaries(
    st.sampled_from(DIMENSIONS),
    st.sampled_from(
        [
            "",
            "*",
            "/",
            "/a",
            "/1*",
            "/z*",
            "/Ä",
            '/"q*',
            "DE",
            "D*",
            "google.com",
            "*.example",
            "news*",
            "mail",
            "ü*",
            "'",
        ]
    ),
    max_size=2,
)
paces = st.sampled_from([0, 0.25, 1, 3, 5, 20, 59, 60, 61, 130, 299, 400])


class Traffic(RuleBasedStateMachine):
    """Sends, waits, polls. After every step the answers are the model's, of all sites asked together and one alone."""

    world: World

    @initialize(start=starts, microsecond=st.sampled_from([0, 1, 400_000, 999_999]))
    def begin(self, start: str, microsecond: int) -> None:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        self.world.clock.now = datetime.fromisoformat(f"{yesterday}T{start}Z").replace(microsecond=microsecond)
        self.sites = self.world.new_sites()
        self.sent: list[Sent] = []
        self.alone = 0

    @rule(worker=st.integers(0, WORKERS - 1), batch=st.lists(events, min_size=1, max_size=8), split=st.booleans())
    def send(self, worker: int, batch: list[dict[str, Any]], split: bool) -> None:
        """Send signals in one request, or each in its own and at the same time."""
        self._deliver(worker, [[event] for event in batch] if split else [batch])

    @rule(worker=st.integers(0, WORKERS - 1), crowd=crowds)
    def send_a_crowd(self, worker: int, crowd: list[dict[str, Any]]) -> None:
        self._deliver(worker, [crowd])

    @rule(seconds=paces)
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def merge(self) -> None:
        """Merge whatever ClickHouse would merge some day: no answer may change."""

        async def optimize() -> None:
            for table in ("visitor_minutes", "recent_pageviews"):
                await self.world.workers[0].execute(f"OPTIMIZE TABLE {table} FINAL")

        self.world.run(optimize)

    @invariant()
    def answers_are_the_models(self) -> None:
        if not hasattr(self, "sent"):
            return

        async def polls() -> list[dict[str, Any]]:
            together = await asyncio.gather(*(self.world.poll(1, site) for _, site in self.sites))
            self.alone = (self.alone + 1) % len(self.sites)
            alone = await self.world.poll(0, self.sites[self.alone][1])
            return [*together, alone]

        asked = [*self.sites, self.sites[(self.alone + 1) % len(self.sites)]]
        for got, (site_id, _) in zip(self.world.run(polls), asked, strict=True):
            want = answer(self.sent, site_id, self.world.clock.now)
            assert got == want
            assert list(got["pageBreakdown"]) == list(want["pageBreakdown"])
            assert contradictions(got) == []

    @rule(site=st.integers(0, 2), by=st.sampled_from(DIMENSIONS), kept=filters)
    def break_down(self, site: int, by: str, kept: dict[str, str]) -> None:
        """The breakdown is the model's; without filters it agrees with the realtime answer."""
        site_id, its = self.sites[site]

        async def ask() -> list[dict[str, Any]]:
            questions = [self.world.ask(0, its, "breakdown", by=by, **kept), self.world.ask(1, its, "breakdown", by=by)]
            return await asyncio.gather(*questions, self.world.poll(1, its))

        filtered, whole, live = self.world.run(ask)
        now = self.world.clock.now
        assert filtered == breakdown(self.sent, site_id, now, by, kept)
        assert whole == breakdown(self.sent, site_id, now, by, {})
        assert (whole["activeVisitors"], whole["pageviews"]) == (live["activeVisitors"], live["pageviewsLast5Min"])
        if by == "page":
            assert [(one["value"], one["visitors"]) for one in whole["breakdown"]] == list(
                live["pageBreakdown"].items()
            )

    @rule(site=st.integers(0, 2), minutes=st.sampled_from([1, 4, 5, 6, 12, 20]))
    def look_back(self, site: int, minutes: int) -> None:
        """The history is the model's, and ends with the realtime answer."""
        site_id, its = self.sites[site]

        async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
            return await asyncio.gather(self.world.ask(1, its, "history", minutes=minutes), self.world.poll(0, its))

        went, live = self.world.run(ask)
        assert went == history(self.sent, site_id, self.world.clock.now, minutes)
        points = went["points"]
        assert points[-1]["activeVisitors"] == live["activeVisitors"]
        per_minute = [one["visitors"] for one in live["visitorsPerMinute"]]
        assert [point["visitors"] for point in points][-5:] == per_minute[-min(5, minutes) :]

    def _deliver(self, worker: int, requests: list[list[dict[str, Any]]]) -> None:
        api, now = self.world.workers[worker], self.world.clock.now
        bodies = []
        for request in requests:
            signals = []
            for number, event in enumerate(request):
                site_id, site = self.sites[event["site"]]
                signal = {key: event[key] for key in ("type", "country", "referrer", "utm")} | {
                    "siteId": site_id,
                    "path": event["page"],
                    "visitorId": event["visitor"],
                }
                timestamp = now + timedelta(microseconds=number)
                if event["age"] is not None:
                    timestamp = now - timedelta(seconds=event["age"])
                    signal["timestamp"] = timestamp.isoformat()
                signals.append((site.tenant, signal))
                referrer = "" if event["referrer"].endswith("example.com") else event["referrer"]
                utm = event["utm"] or {}
                self.sent.append(
                    Sent(
                        site_id,
                        timestamp,
                        event["type"],
                        event["visitor"],
                        event["page"],
                        event["country"],
                        (referrer, utm.get("source", ""), utm.get("medium", ""), utm.get("campaign", "")),
                    )
                )
            bodies.append(signals)

        async def send() -> None:
            posts = []
            for signals in bodies:
                if len(signals) == 1:
                    tenant, signal = signals[0]
                    posts.append(api.track(signal, token=api.read if tenant == TENANTS[0] else api.write))
                    continue
                # A request speaks for one tenant: the other's signals follow in a second one.
                for tenant, token in zip(TENANTS, (api.read, api.write), strict=True):
                    own = [
                        signal | {"timestamp": signal.get("timestamp") or (now + timedelta(microseconds=i)).isoformat()}
                        for i, (owner, signal) in enumerate(signals)
                        if owner == tenant
                    ]
                    if own:
                        posts.append(api.track({"batch": True, "events": own}, token=token))
            for response in await asyncio.gather(*posts):
                assert response.status_code == 200, response.text

        self.world.run(send)


@pytest.mark.cluster
@pytest.mark.timeout(300 + 10 * HISTORIES)
@pytest.mark.parametrize("histories", [3, pytest.param(HISTORIES, marks=pytest.mark.deep)])
def test_answers_are_those_of_the_model(world: World, histories: int) -> None:
    machine = cast(type[Traffic], type("TrafficOfThisEngine", (Traffic,), {"world": world}))
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=histories, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)),
    )
