"""All that the HTTP part needs of the store, opened, kept fresh and closed as one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.administration import Administration
from app.store.analysts import Analysts
from app.store.cluster import Cluster
from app.store.engine import Engine, EngineError
from app.store.inserts import GroupCommit
from app.store.intake import Intake
from app.store.lanes import InsertsByShard, ReadsByShard, ReportsByShard
from app.store.overview import Overviews, OverviewsByShard
from app.store.reads import RealtimeReads
from app.store.removals import Removals
from app.store.repeatable import Repeatable
from app.store.reports import Reports
from app.store.salts import Salts
from app.store.schema import Layout, prepare_database
from app.store.statements import Statement
from app.store.tenants import Tenants
from app.store.versions import what_is_wrong

log = logging.getLogger(__name__)


class Store:
    """The parts that share one ClickHouse: tenants, salts, reads, reports and inserts."""

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        clock: Clock,
        *,
        tenants: Tenants,
        salts: Salts,
        removals: Removals,
        administration: Administration,
        analysts: Analysts,
        inserts: GroupCommit | InsertsByShard,
        repeatable: Repeatable,
        intake: Intake,
        reads: RealtimeReads | ReadsByShard,
        overviews: Overviews | OverviewsByShard,
        reports: Reports | ReportsByShard,
        refresh_s: float,
        cluster: Cluster | None = None,
    ) -> None:
        self.engine = engine
        self.cluster = cluster
        self.clock = clock
        self.tenants = tenants
        self.salts = salts
        self.administration = administration
        self.analysts = analysts
        self.removals = removals
        self.inserts = inserts
        self.repeatable = repeatable
        self.intake = intake
        self.reads = reads
        self.overviews = overviews
        self.reports = reports
        self._statements = statements
        self._refresh_s = refresh_s
        self.applied: list[str] = []
        """Names of the migrations that this start has applied."""
        self._repeating: list[asyncio.Task[None]] = []
        self._stopping = False
        self.ended = asyncio.Event()
        """Set when a task that must not end has ended: this process cannot serve any more and is to be replaced."""

    async def start(self) -> None:
        """Start, without waiting for ClickHouse: until it answers, requests are answered 503.

        Raises StartupError when the schema does not fit this version.
        """
        try:
            await self.prepare()
            await self.refresh()
        except EngineError as error:
            log.warning("ClickHouse does not answer yet (%s): %s", self.engine.name, error.detail)
        self.run()

    def run(self) -> None:
        """Begin to commit signals and to keep sites, keys and salts fresh."""
        # Deleting salts is a task of its own: whether an answer may be given does not depend on it.
        self._repeating = [
            asyncio.create_task(self._repeat(self.refresh, "refresh sites, keys and salts"), name="refresh"),
            asyncio.create_task(self._repeat(self.delete_salts, "delete salts that have served"), name="delete salts"),
            asyncio.create_task(
                self._repeat(self.removals.clear_due, "delete the rows of removed sites"), name="clear removed sites"
            ),
        ]
        if self.cluster:
            look = self._repeat(self.cluster.look, "have every node of the cluster answer")
            self._repeating.append(asyncio.create_task(look, name="look at the cluster"))
        for task in (self.inserts.start(), self.repeatable.inserts.start(), *self._repeating):
            task.add_done_callback(self._note_end)

    def require_running(self) -> None:
        """Raise Unavailable when this process is to be replaced."""
        if self.ended.is_set():
            raise Unavailable

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not self._stopping:
            why = "cancelled" if task.cancelled() else task.exception() or "returned"
            log.critical("the task %r has ended (%r); this process stops", task.get_name(), why)
            self.ended.set()

    async def prepare(self) -> None:
        """Create the database and apply migrations. Raises StartupError or EngineError."""
        if self.cluster:
            self.applied = await self.cluster.prepare()
        else:
            self.applied = await prepare_database(self.engine, self._statements, Layout())

    async def warn_of_version(self) -> None:
        """Log what is known against the version of ClickHouse, on a cluster of one node. Raises EngineError."""
        version = await self.engine.fetch(self._statements["version"])
        if wrong := what_is_wrong(version.decode(errors="replace")):
            log.warning("%s", wrong)

    async def refresh(self) -> None:
        """Read sites, keys and salts now. Raises EngineError."""
        await self.tenants.refresh()
        await self.salts.refresh(self.clock())

    async def delete_salts(self) -> None:
        """Delete the salts that have served. Raises EngineError."""
        await self.salts.delete_served(self.clock())

    async def stop(self, timeout_s: float) -> None:
        """Accept no more signals and commit what is queued, within `timeout_s`."""
        self._stopping = True
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)
        await asyncio.gather(self.inserts.close(timeout_s), self.repeatable.inserts.close(timeout_s))

    async def close(self, timeout_s: float) -> None:
        """Stop, and let go of the engine."""
        await self.stop(timeout_s)
        await self.engine.close()
        if self.cluster:
            await self.cluster.close()

    async def _repeat(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await work()
                if failing:
                    log.warning("ClickHouse answers again (%s)", self.engine.name)
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("cannot %s: %s", what, getattr(error, "detail", error))
                failing = True
