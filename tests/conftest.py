"""The service under test: the real application on a real ClickHouse, in a throw-away database."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import hypothesis
import pytest

from app.parts import Parts
from app.process import spare_garbage_collector
from app.settings import Settings
from app.store.cluster import Cluster
from app.store.embedded import EmbeddedEngine
from app.store.engine import Engine
from app.store.server import ServerEngine
from app.store.statements import Statement, load_statements
from app.store.store import Store
from app.wiring import create_app, create_store
from tests.kit.clusters import cluster_of, own_engines
from tests.kit.databases import drop, new_name, url_of
from tests.kit.gate import Gate
from tests.kit.ports import free_port
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import GIVE_UP_S

SERVER = pytest.StashKey[str]()
CLUSTER = pytest.StashKey[str]()
WHY_NO_SERVER = pytest.StashKey[str]()
CONTAINER = pytest.StashKey[Any]()
FOUND = "server and why there is none"
IMAGE = "clickhouse/clickhouse-server:26.8"

VARIABLES = {
    "PULSEHOUSE_TEST_CLUSTER_URLS": "what runs on a cluster named pulsehouse; the nodes' addresses, with commas",
    "PULSEHOUSE_TEST_KEEPER_URL": "the making of tables with replicas, on a server with Keeper",
    "PULSEHOUSE_TEST_CLUSTER_NODES": "a shard that is stopped; JSON, the `pid` of each node",
    "PULSEHOUSE_TEST_CLUSTER_CLICKHOUSE": "the way to a cluster, on servers that are started for it",
    "PULSEHOUSE_TEST_FAULTS_CLICKHOUSE": "the fault harness (deep), which starts a ClickHouse of its own",
    "PULSEHOUSE_TEST_USERS_CLICKHOUSE": "what analysts see, on a ClickHouse with users of its own",
    "PULSEHOUSE_TEST_ACCESS_LOG": "the access log of a real website",
}
"""What some tests need from outside; docs/reliability.md tells more."""

# A failure on a real database is reported as it was found: to shrink it takes minutes, which the deep profile has.
hypothesis.settings.register_profile(
    "short",
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
)
hypothesis.settings.register_profile("deep", deadline=None, print_blob=True)


def pytest_xdist_auto_num_workers() -> int:
    """How many tests `-n auto` runs at once: one per core, and two on one core, as half of the time is waiting."""
    return max(2, len(os.sched_getaffinity(0)))


def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist which server its parent found, so that all use one."""
    node.workerinput[FOUND] = node.config.stash[SERVER], node.config.stash[WHY_NO_SERVER]


def pytest_configure(config: pytest.Config) -> None:
    """Find a ClickHouse server: the one named, else a container where Docker answers, else none."""
    config.stash[CLUSTER] = os.environ.get("PULSEHOUSE_TEST_CLUSTER_URLS", "")
    if hasattr(config, "workerinput"):
        config.stash[SERVER], config.stash[WHY_NO_SERVER] = config.workerinput[FOUND]
        return
    url = os.environ.get("PULSEHOUSE_TEST_CLICKHOUSE_URL", "")
    why = ""
    if not url:
        try:
            url = _start_container(config)
        except Exception as error:  # whatever Docker lacks here: no socket, no daemon, no registry
            why = f"{type(error).__name__}"
    config.stash[SERVER] = url
    config.stash[WHY_NO_SERVER] = why


def _start_container(config: pytest.Config) -> str:
    import docker
    from testcontainers.community.clickhouse import ClickHouseContainer

    docker.from_env(timeout=2).ping()
    container = ClickHouseContainer(IMAGE).start()
    config.stash[CONTAINER] = container
    host, port = container.get_container_host_ip(), container.get_exposed_port(8123)
    return f"http://test:test@{host}:{port}/default"


def pytest_unconfigure(config: pytest.Config) -> None:
    if CONTAINER in config.stash:
        config.stash[CONTAINER].stop()


def pytest_collection_finish() -> None:
    """Spare the garbage collector, as the service does: it took a tenth of the time of all tests."""
    spare_garbage_collector()


SHORT = "not deep and not beside_server"
FORMS = {
    SHORT: (
        "short",
        3,
        "the server, and the embedded engine where no difference can be",
        "make test-embedded, test-deep",
    ),
    "beside_server and not deep": ("short", 2, "the embedded engine", "make test, test-deep"),
    "deep": ("long", 6, "both", "make test, test-embedded"),
}
"""What runs, about how many minutes it takes, on which engines beside a server, and what runs the rest; by marks."""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What will run, on which engines, about how long; what will not, and how to run it."""
    server = config.stash[SERVER]
    form, minutes, engines, others = FORMS.get(config.option.markexpr, FORMS[SHORT])
    lines = [f"tests: the {form} forms, about {minutes} minutes for all on 2 idle cores; the others: {others}"]
    if server:
        lines.append(f"clickhouse: {engines}; the server is at {server.rpartition('@')[2]}")
    else:
        lines.append(
            f"clickhouse: the embedded engine alone, no server (Docker: {config.stash[WHY_NO_SERVER]}); tests of "
            "workers and proxies are skipped; to run them too: PULSEHOUSE_TEST_CLICKHOUSE_URL=http://user:password@host:8123/default"
        )
    for variable, what in VARIABLES.items():
        if variable not in os.environ:
            lines.append(f"skipped: {what}; to run it: {variable}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses the service once per engine; once where the engine makes no difference.

    Beside a server, the embedded engine is for a run of its own (`make test-embedded`) and for the long forms.
    """
    if "engine_name" in metafunc.fixturenames:
        both = metafunc.config.stash[SERVER] and not metafunc.definition.get_closest_marker("any_engine")
        names: list[Any] = (
            ["server", pytest.param("embedded", marks=pytest.mark.beside_server)] if both else ["embedded"]
        )
        if metafunc.config.stash[CLUSTER] and metafunc.definition.get_closest_marker("cluster"):
            names.append("cluster")
        metafunc.parametrize("engine_name", names, scope="module")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_or_none(pytestconfig: pytest.Config) -> str:
    """Address of the ClickHouse server; empty where there is none."""
    return pytestconfig.stash[SERVER]


@pytest.fixture(scope="session")
def server_url(server_or_none: str) -> str:
    """Address of the ClickHouse server; the test is skipped where there is none."""
    url = server_or_none
    if not url:
        pytest.skip("no ClickHouse server; set PULSEHOUSE_TEST_CLICKHOUSE_URL")
    return url


@pytest.fixture(scope="session")
def cluster_urls(pytestconfig: pytest.Config) -> list[str]:
    """Addresses of the nodes of a cluster; the test is skipped where there is none."""
    urls = pytestconfig.stash[CLUSTER]
    if not urls:
        pytest.skip("no cluster; set PULSEHOUSE_TEST_CLUSTER_URLS")
    return urls.split(",")


@pytest.fixture
async def gates(cluster_urls: list[str]) -> AsyncIterator[list[Gate]]:
    """An open gate before each node."""
    gates = [Gate(url) for url in cluster_urls]
    for gate in gates:
        await gate.open()
    yield gates
    for gate in gates:
        await gate.shut()


@pytest.fixture(scope="session")
def real_log() -> Path:
    """The access log of semicomplete.com, May 2015, 7,000 lines, gzip; the test is skipped where there is none."""
    name = os.environ.get("PULSEHOUSE_TEST_ACCESS_LOG")
    if not name:
        pytest.skip("no access log of a real website; set PULSEHOUSE_TEST_ACCESS_LOG")
    return Path(name)


@pytest.fixture(scope="session")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The one folder of the embedded engine: a process can open only one. Kept open, as opening takes its time."""
    folder = tmp_path_factory.mktemp("embedded")
    # What is opened first decides for all.
    options = {"backups.allowed_path": str(folder / "backups")}
    keeper = clickhouse_connect.get_client(interface="chdb", path=str(folder), chdb_options=options)
    yield folder
    keeper.close()


@pytest.fixture
def unused_port() -> int:
    """A port of this machine that nothing listens on."""
    return free_port()


class Clock:
    """A clock that stands still until a test moves it: the present, 30 s into a minute."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(second=30, microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def set(self, time: str, days: int = 0) -> None:
        """Set the time of day, HH:MM:SS UTC, so many days from today."""
        hour, minute, second = map(int, time.split(":"))
        self.now = (self.now + timedelta(days=days)).replace(hour=hour, minute=minute, second=second)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Api:
    """A running service, as its users see it, and what tests need to look behind it."""

    def __init__(self, store: Store, client: httpx.AsyncClient, clock: Clock) -> None:
        self.store = store
        self.client = client
        self.clock = clock
        self.read = self.write = self.admin = ""

    async def add_site(self, site_id: str, tenant: str = "acme", domain: str = "example.com") -> str:
        await self.store.tenants.add_site(site_id, tenant, [domain], domain)
        await self.store.refresh()
        return site_id

    async def add_key(
        self, scope: str, tenant: str = "acme", site_id: str = "", expires_days: int | None = None
    ) -> tuple[str, str]:
        """Create a key; return its id and token."""
        key = await self.store.tenants.create_key(tenant, scope, site_id, expires_days)
        await self.store.refresh()
        return key

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.get(path, headers=headers)

    async def realtime(self, site_id: str = "site_a", token: str | None = None) -> dict[str, Any]:
        """The answer of GET /api/realtime, whole."""
        response = await self.get(f"/api/realtime?siteId={site_id}", token or self.read)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def track(self, body: Any, token: str | None = None, **headers: str) -> httpx.Response:
        """Send a body to POST /api/track, as a browser or with a key; bytes are sent as they are."""
        headers = {"User-Agent": BROWSER, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(body, bytes):
            return await self.client.post("/api/track", content=body, headers=headers)
        return await self.client.post("/api/track", json=body, headers=headers)

    @property
    def database(self) -> Engine:
        """What has every table, on a cluster those of the whole."""
        return self.store.cluster.lane(0) if self.store.cluster else self.store.engine

    async def select(self, sql: str) -> str:
        """Look into the database; tests only."""
        return (await self.database.fetch(Statement("test", sql + " FORMAT TSVRaw"))).decode().strip()

    async def execute(self, sql: str) -> None:
        """Change the tables, on a cluster those of each node; tests only."""
        for database in own_engines(self.store.cluster) if self.store.cluster else [self.store.engine]:
            await database.execute(Statement("test", sql))


MakeApi = Callable[..., Awaitable[Api]]


@pytest.fixture
def database() -> str:
    """A name for a database of the test's own."""
    return new_name()


@pytest.fixture
def server_database(server_url: str, database: str) -> Iterator[str]:
    """The address of a database of the test's own on the server, dropped after it."""
    url = url_of(server_url, database)
    yield url
    drop(url)


def make_engine(name: str, server: str, folder: Path, database: str) -> Engine:
    """An engine on a throw-away database."""
    if name == "server":
        return ServerEngine(url_of(server, database), query_timeout_s=GIVE_UP_S, insert_timeout_s=GIVE_UP_S)
    return EmbeddedEngine(folder, query_timeout_s=GIVE_UP_S, max_memory_bytes=2_000_000_000, database=database)


UNHURRIED = Settings(
    track_max_signals_per_minute=0,
    commit_interval_ms=0,
    repeatable_interval_ms=0,
    commit_timeout_ms=60_000,
    insert_timeout_ms=60_000,
    query_timeout_ms=60_000,
    directory_max_age_ms=60_000,
)
"""What most tests are about is the same on a machine that stands still for seconds."""

SIGNAL_TABLES = ("signals", "visitor_minutes", "recent_pageviews", "request_keys")
TENANT_TABLES = ("sites", "api_keys", "salts", "analysts")


class SharedDatabase:
    """A migrated database that tests use one after the other: most want the same tenant, and few change it."""

    def __init__(self, engine: Engine, cluster: Cluster | None = None) -> None:
        self.engine = engine
        self.cluster = cluster
        self.tokens: list[str] = []
        """Those of acme (see `api`) while the tables of tenants hold acme as it was made, and nothing else."""

    async def clear(self, *, keep_acme: bool) -> None:
        """Empty its tables, but for acme where it may stay and is as it was made."""
        tables = [*SIGNAL_TABLES]
        if not (keep_acme and self.tokens) or self.cluster:
            self.tokens = []
            tables += TENANT_TABLES
        engines = own_engines(self.cluster) if self.cluster else [self.engine]
        empty = [engine.execute(Statement("test", f"TRUNCATE TABLE {table}")) for table in tables for engine in engines]
        await asyncio.gather(*empty)

    def open(self, settings: Settings, clock: Clock) -> Store:
        """A store on it, as one service sees it."""
        if self.cluster:
            return Parts(settings, load_statements(), clock).on_cluster(self.cluster)
        return create_store(settings, engine=EngineOfOneTest(self), clock=clock)


class EngineOfOneTest:
    """The engine of a shared database as one service sees it; a test may replace its methods."""

    def __init__(self, shared: SharedDatabase) -> None:
        self._shared = shared
        self.name = shared.engine.name
        self.database = shared.engine.database
        self.create_database = shared.engine.create_database
        self.fetch = shared.engine.fetch
        self.is_granted = shared.engine.is_granted

    async def execute(self, statement: Statement, *arguments: Any, **options: Any) -> None:
        if not statement.name.startswith("track/"):
            self._shared.tokens = []
        await self._shared.engine.execute(statement, *arguments, **options)

    async def close(self) -> None:
        """Leave the shared engine open."""


@pytest.fixture(scope="session")
async def shared_databases(
    server_or_none: str, embedded_folder: Path, pytestconfig: pytest.Config
) -> AsyncIterator[Callable[[str], Awaitable[SharedDatabase]]]:
    """The shared database of an engine or the cluster, by its name."""
    opened: dict[str, SharedDatabase] = {}
    clusters = AsyncExitStack()

    async def shared_database(engine_name: str) -> SharedDatabase:
        if engine_name not in opened and engine_name == "cluster":
            urls = pytestconfig.stash[CLUSTER].split(",")
            cluster = await clusters.enter_async_context(cluster_of(urls, new_name()))
            await cluster.prepare()
            opened[engine_name] = SharedDatabase(cluster.control, cluster)
        elif engine_name not in opened:
            engine = make_engine(engine_name, server_or_none, embedded_folder, new_name())
            await create_store(Settings(), engine=engine).prepare()
            opened[engine_name] = SharedDatabase(engine)
        return opened[engine_name]

    yield shared_database
    await clusters.aclose()
    for shared in opened.values():
        if shared.cluster:
            continue
        await shared.engine.execute(Statement("test", f"DROP DATABASE {shared.engine.database}"))
        await shared.engine.close()


@pytest.fixture
async def shared_database(
    engine_name: str,
    shared_databases: Callable[[str], Awaitable[SharedDatabase]],
    request: pytest.FixtureRequest,
) -> SharedDatabase:
    """The shared database of the test's engine, empty; with acme as it was made, if it is, for a test of `api`."""
    shared = await shared_databases(engine_name)
    await shared.clear(keep_acme="api" in request.fixturenames)
    return shared


@pytest.fixture
async def make_api(shared_database: SharedDatabase) -> AsyncIterator[MakeApi]:
    """Start services on the shared database: several of them are several workers."""
    started: list[Api] = []

    async def make(settings: Settings | None = None, clock: Clock | None = None, address: str = "203.0.113.7") -> Api:
        settings = settings or UNHURRIED
        clock = clock or Clock()
        store = shared_database.open(settings, clock)
        await store.refresh()
        store.run()
        transport = httpx.ASGITransport(create_app(settings, store), client=(address, 50_000))
        api = Api(store, httpx.AsyncClient(transport=transport, base_url="http://pulsehouse.test"), clock)
        started.append(api)
        return api

    yield make
    for api in started:
        await api.client.aclose()
        await api.store.stop(1)


@pytest.fixture
async def api(make_api: MakeApi, shared_database: SharedDatabase) -> Api:
    """A service with tenant acme, its sites site_a (example.com) and site_b (example.org), and a key of each scope."""
    api = await make_api()
    if not shared_database.tokens:
        tenants = api.store.tenants
        keys = asyncio.gather(*(tenants.create_key("acme", scope, "", None) for scope in ("read", "write", "admin")))
        await tenants.add_site("site_a", "acme", ["example.com"], "example.com")
        await tenants.add_site("site_b", "acme", ["example.org"], "example.org")
        tokens = [token for _, token in await keys]
        await api.store.refresh()
        shared_database.tokens = tokens
    api.read, api.write, api.admin = shared_database.tokens
    return api


Signals = Callable[..., Awaitable[None]]


@pytest.fixture
def signals(api: Api) -> Signals:
    """Send signals, (minutes ago, visitor, path) or (minutes ago, visitor, path, type), each in its own request."""

    async def send(*given: tuple[Any, ...], site_id: str = "site_a", country: str | None = None) -> None:
        for minutes_ago, visitor, path, *kind in given:
            timestamp = api.clock() - timedelta(minutes=minutes_ago)
            signal = {
                "siteId": site_id,
                "type": kind[0] if kind else "pageview",
                "path": path,
                "visitorId": visitor,
                "timestamp": timestamp.isoformat(),
            }
            response = await api.track(signal | ({"country": country} if country else {}), token=api.write)
            assert response.status_code == 200, response.text

    return send
