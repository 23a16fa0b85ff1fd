"""All that the HTTP part needs of the store, opened, kept fresh and closed as one."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from app.domain.access import hash_token, new_token
from app.domain.clock import Clock
from app.domain.errors import StartupError
from app.store.answers import RealtimeAnswers
from app.store.commit import GroupCommit
from app.store.directory import ApiKeyRow, Directory, SiteRow, list_keys, list_sites
from app.store.engine import EmbeddedEngine, EngineError, ServerEngine
from app.store.intake import Intake
from app.store.migrations import load_migrations, migrate
from app.store.salts import Salts
from app.store.statements import Statement

log = logging.getLogger(__name__)


class UnfitSetting(msgspec.Struct, frozen=True):
    """A setting of the ClickHouse user that the service cannot run under, as unfit_settings returns it."""

    name: str
    value: str
    fitting: str


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
        self._repeating: list[asyncio.Task[None]] = []

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
        self.signals.start()
        # Deleting salts is a task of its own: whether an answer may be given does not depend on it.
        self._repeating = [
            asyncio.create_task(self._repeat(self.refresh, "refresh sites, keys and salts"), name="refresh"),
            asyncio.create_task(self._repeat(self.delete_salts, "delete salts that have served"), name="delete salts"),
        ]

    async def prepare(self) -> None:
        """Create the database and apply migrations. Raises StartupError or EngineError."""
        await self.engine.create_database(self._statements["create_database"])
        await self._require_fitting_settings()
        self.applied = await migrate(self.engine, self._statements, load_migrations())

    async def _require_fitting_settings(self) -> None:
        body = await self.engine.fetch(self._statements["unfit_settings"])
        for unfit in msgspec.json.Decoder(UnfitSetting).decode_lines(body):
            raise StartupError(
                f"ClickHouse setting {unfit.name} is {unfit.value!r} for this user but must be {unfit.fitting}; "
                "change it in the user's profile"
            )

    async def refresh(self) -> None:
        """Read sites, keys and salts now. Raises EngineError."""
        await self.directory.refresh()
        await self.salts.refresh(self.clock())

    async def delete_salts(self) -> None:
        """Delete the salts that have served. Raises EngineError."""
        await self.salts.delete_served(self.clock())

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
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)
        await self.signals.close(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Stop, and let go of the engine."""
        await self.stop(timeout_s)
        await self.engine.close()

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
