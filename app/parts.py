"""Makes the parts of a store: one of each on one machine; on a cluster one for each shard."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from app.domain.clock import Clock
from app.domain.errors import StartupError
from app.settings import Settings
from app.store.administration import Administration
from app.store.analysts import Analysts
from app.store.cluster import OWN, Cluster, Node
from app.store.cluster import SETTINGS as CLUSTER_SETTINGS
from app.store.engine import Engine
from app.store.inserts import GroupCommit
from app.store.intake import Intake
from app.store.lanes import InsertsByShard, Lanes, ReadsByShard, ReportsByShard, by_shard
from app.store.overview import Divide, Overviews, OverviewsByShard
from app.store.reads import RealtimeReads
from app.store.removals import Removals
from app.store.repeatable import Repeatable
from app.store.reports import Reports
from app.store.salts import Salts
from app.store.server import ServerEngine
from app.store.statements import Statement
from app.store.store import Store
from app.store.tenants import Tenants

CONNECTIONS_PER_NODE = 16
"""Of a worker to each node, times the number of nodes: when one has to serve the others' lanes, they all fit."""


def create_server_engine(of: Settings, url: str, **options: Any) -> ServerEngine:
    """The engine at a URL. Raises StartupError for one that is none."""
    return ServerEngine(
        url,
        query_timeout_s=of.query_timeout_ms / 1000,
        insert_timeout_s=of.insert_timeout_ms / 1000,
        **options,
    )


def create_cluster(settings: Settings, statements: Mapping[str, Statement]) -> Cluster:
    """The cluster that the settings name. Raises StartupError for URLs that are none, or of several databases."""
    urls = [url.strip() for url in settings.clickhouse_url.split(",")]
    sent: dict[str, str | int] = dict(CLUSTER_SETTINGS)
    if settings.insert_quorum_replicas:
        sent |= {"insert_quorum": settings.insert_quorum_replicas, "insert_quorum_parallel": 1}
    options = {"settings": sent, "connections": CONNECTIONS_PER_NODE * len(urls)}
    nodes = [
        Node(create_server_engine(settings, url, **options), create_server_engine(settings, url, **options, suffix=OWN))
        for url in urls
    ]
    if len({node.whole.database for node in nodes}) > 1:
        raise StartupError("PULSEHOUSE_CLICKHOUSE_URL: all nodes of a cluster must name the same database")
    return Cluster(settings.clickhouse_cluster, nodes, statements, replicated=settings.clickhouse_replicated)


def create_analysts(
    settings: Settings, engine: Engine, statements: Mapping[str, Statement], cluster: Cluster | None = None
) -> Analysts:
    """The analysts of the engine's database, beside the user that the settings name."""
    user = urlsplit(settings.clickhouse_url.partition(",")[0]).username or "default"
    return Analysts(engine, statements, service_user=unquote(user), cluster=cluster)


class Parts:
    """Makes the parts of a store."""

    def __init__(self, settings: Settings, statements: Mapping[str, Statement], clock: Clock) -> None:
        self._settings = settings
        self._statements = statements
        self._clock = clock
        self._query_timeout_s = settings.query_timeout_ms / 1000

    def on_engine(self, engine: Engine) -> Store:
        """The store on one machine."""
        tenants = self._tenants(engine)
        removals = self._removals(engine, tenants, engine.database, lambda: [engine])
        return self._store(
            engine,
            tenants,
            removals,
            inserts=self._inserts(engine),
            keyed_inserts=self._keyed_inserts(engine),
            reads=self._reads(engine),
            overviews=self._overviews(lambda site_ids: [(engine, site_ids)]),
            reports=self._reports(engine),
        )

    def on_cluster(self, cluster: Cluster) -> Store:
        """The store on a cluster."""
        control, lane = cluster.control, cluster.lane
        tenants = self._tenants(control)

        def divide(site_ids: Sequence[str]) -> list[tuple[Engine, Sequence[str]]]:
            return [(lane(shard), of_shard) for shard, of_shard in by_shard(tenants, site_ids).items()]

        return self._store(
            control,
            tenants,
            self._removals(control, tenants, control.database, cluster.shards),
            inserts=InsertsByShard(tenants, lambda shard: self._inserts(lane(shard), share_of=cluster.size)),
            keyed_inserts=InsertsByShard(
                tenants, lambda shard: self._keyed_inserts(lane(shard), share_of=cluster.size)
            ),
            reads=ReadsByShard(Lanes(tenants, lambda shard: self._reads(lane(shard)))),
            overviews=OverviewsByShard(
                lambda: self._overviews(divide), lambda site_ids: frozenset(by_shard(tenants, site_ids))
            ),
            reports=ReportsByShard(Lanes(tenants, lambda shard: self._reports(lane(shard)))),
            cluster=cluster,
        )

    def _store(
        self,
        engine: Engine,
        tenants: Tenants,
        removals: Removals,
        *,
        keyed_inserts: GroupCommit | InsertsByShard,
        cluster: Cluster | None = None,
        **parts: Any,
    ) -> Store:
        salts = Salts(engine, self._statements)
        repeatable = Repeatable(
            engine,
            self._statements,
            self._clock,
            keyed_inserts,
            timeout_s=self._settings.commit_timeout_ms / 1000,
            max_waiting_signals=self._settings.queue_max_signals,
        )
        return Store(
            engine,
            self._statements,
            self._clock,
            tenants=tenants,
            salts=salts,
            removals=removals,
            administration=Administration(tenants, removals),
            analysts=create_analysts(self._settings, engine, self._statements, cluster),
            intake=Intake(salts, self._clock),
            repeatable=repeatable,
            refresh_s=self._settings.directory_refresh_ms / 1000,
            cluster=cluster,
            **parts,
        )

    def _tenants(self, engine: Engine) -> Tenants:
        return Tenants(
            engine,
            self._statements,
            max_age_s=self._settings.directory_max_age_ms / 1000,
            cluster=self._settings.clickhouse_cluster,
        )

    def _removals(self, engine: Engine, tenants: Tenants, own: str, shards: Callable[[], Sequence[Engine]]) -> Removals:
        delay_ms = self._settings.removal_delay_ms
        return Removals(engine, self._statements, tenants, delay_ms=delay_ms, own=own, shards=shards)

    def _inserts(self, engine: Engine, share_of: int = 1) -> GroupCommit:
        """One of `share_of` queues, which together take as much as the settings say."""
        settings = self._settings
        return self._commits(engine, settings.commit_interval_ms, settings.commit_max_signals, share_of)

    def _keyed_inserts(self, engine: Engine, share_of: int = 1) -> GroupCommit:
        """The same for requests whose token is given: one request an INSERT."""
        return self._commits(engine, self._settings.repeatable_interval_ms, 1, share_of)

    def _commits(self, engine: Engine, interval_ms: int, max_group_signals: int, share_of: int) -> GroupCommit:
        settings = self._settings
        return GroupCommit(
            engine,
            self._statements,
            timeout_s=settings.commit_timeout_ms / 1000,
            interval_s=interval_ms / 1000,
            insert_timeout_s=settings.insert_timeout_ms / 1000,
            insert_timeout_max_s=settings.insert_timeout_max_ms / 1000,
            max_group_signals=max_group_signals,
            max_group_bytes=settings.commit_max_bytes,
            max_queue_signals=settings.queue_max_signals // share_of,
            max_queue_bytes=settings.queue_max_bytes // share_of,
        )

    def _reads(self, engine: Engine) -> RealtimeReads:
        settings = self._settings
        return RealtimeReads(
            engine,
            self._statements,
            self._clock,
            timeout_s=self._query_timeout_s,
            max_statements=settings.query_max_statements,
            max_sites=settings.query_max_sites,
            shared_max_rows=settings.query_shared_max_rows,
        )

    def _overviews(self, divide: Divide) -> Overviews:
        return Overviews(divide, self._statements, self._clock, timeout_s=self._query_timeout_s)

    def _reports(self, engine: Engine) -> Reports:
        return Reports(
            engine,
            self._statements,
            self._clock,
            timeout_s=self._query_timeout_s,
            max_statements=self._settings.report_max_statements,
        )
