"""All that the HTTP part needs of the store, opened, kept fresh and closed as one."""

import asyncio
import logging
import secrets
from collections.abc import Mapping

from app.domain.access import hash_token, new_token
from app.domain.clock import Clock
from app.domain.errors import Unavailable
from app.store.answers import RealtimeAnswers
from app.store.commit import GroupCommit
from app.store.directory import ApiKeyRow, Directory, SiteRow, list_keys, list_sites
from app.store.engine import EmbeddedEngine, EngineError, ServerEngine
from app.store.intake import Intake
from app.store.migrations import load_migrations, migrate
from app.store.salts import Salts
from app.store.statements import Statement

log = logging.getLogger(__name__)


class Store:
    """The parts that share one engine: directory, salts, group commit and realtime answers."""

    def __init__(
        self,
        engine: ServerEngine | EmbeddedEngine,
        statements: Mapping[str, Statement],
        clock: Clock,
        *,
        directory: Directory,
        salts: Salts,
        signals: GroupCommit,
        intake: Intake,
        answers: RealtimeAnswers,
        refresh_s: float,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.directory = directory
        self.salts = salts
        self.signals = signals
        self.intake = intake
        self.answers = answers
        self._statements = statements
        self._refresh_s = refresh_s
        self.applied: list[str] = []
        """Names of the migrations that this start has applied."""
        self._refreshing: asyncio.Task[None] | None = None
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
        self._refreshing = asyncio.create_task(self._keep_fresh(), name="refresh")
        for task in (self.signals.start(), self._refreshing):
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
        await self.engine.create_database(self._statements["create_database"])
        self.applied = await migrate(self.engine, self._statements, load_migrations())

    async def refresh(self) -> None:
        """Read sites, keys and salts now. Raises EngineError."""
        await self.directory.refresh()
        await self.salts.refresh(self.clock())

    async def list_sites(self) -> list[SiteRow]:
        """All sites, by id. Raises EngineError."""
        return await list_sites(self.engine, self._statements["sites/list"])

    async def add_site(self, site_id: str, tenant: str, domains: list[str], name: str) -> None:
        """Store a site. Raises EngineError."""
        parameters = {"id": site_id, "tenant": tenant, "domains": domains, "name": name}
        await self.engine.execute(self._statements["sites/add"], parameters)

    async def list_keys(self) -> list[ApiKeyRow]:
        """All keys, oldest first, revoked and expired ones included. Raises EngineError."""
        return await list_keys(self.engine, self._statements["keys/list"])

    async def create_key(self, tenant: str, scope: str, site_id: str, expires_days: int | None) -> tuple[str, str]:
        """Store a new key and return its id and its token, which is kept nowhere else. Raises EngineError."""
        key_id, token = "key_" + secrets.token_hex(5), new_token()
        parameters = {
            "id": key_id,
            "tenant": tenant,
            "token_sha256": hash_token(token),
            "scope": scope,
            "site_id": site_id,
            "expires_days": expires_days,
        }
        await self.engine.execute(self._statements["keys/add"], parameters)
        return key_id, token

    async def revoke_key(self, key_id: str) -> bool:
        """Revoke a key; False where there is no such key. Raises EngineError."""
        if not any(key.id == key_id for key in await self.list_keys()):
            return False
        await self.engine.execute(self._statements["keys/revoke"], {"id": key_id})
        return True

    async def stop(self, timeout_s: float) -> None:
        """Accept no more signals and commit what is queued, within `timeout_s`."""
        self._stopping = True
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self.signals.close(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Stop, and let go of the engine."""
        await self.stop(timeout_s)
        await self.engine.close()

    async def _keep_fresh(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.refresh()
                if failing:
                    log.warning("ClickHouse answers again (%s)", self.engine.name)
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("cannot refresh sites, keys and salts: %s", getattr(error, "detail", error))
                failing = True
