"""What becomes of a removed site's rows: deleted from every table, once nobody stores any more of them."""

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from app.store.engine import Engine, Result, decode_rows
from app.store.statements import Statement
from app.store.tenants import Tenants

log = logging.getLogger(__name__)

FOLDER = "removed/"
"""The statements that delete, one per table."""

TIMEOUT_S = 300.0
"""So long a statement that deletes may take: it looks through the days that are kept."""


class _Id(msgspec.Struct, frozen=True):
    id: str


_IDS = msgspec.json.Decoder(Result[_Id])


class Removals:
    """Deletes the rows of removed sites, from the database `own` of every shard."""

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        tenants: Tenants,
        *,
        delay_ms: int,
        own: str,
        shards: Callable[[], Sequence[Engine]],
    ) -> None:
        self._engine = engine
        self._own = own
        self._shards = shards
        self._statements = statements
        self._tenants = tenants
        self._delay_ms = delay_ms

    async def clear_due(self) -> None:
        """Delete the rows of the sites that were removed long enough ago. Raises EngineError.

        Several workers may do the same at once; it costs them, and does no harm.
        """
        if not self._tenants.to_clear:
            return
        found = await self._engine.fetch(self._statements["sites/list_to_clear"], {"delay_ms": self._delay_ms})
        if site_ids := [row.id for row in decode_rows(found, _IDS)]:
            await self.clear(site_ids)
            await self._engine.execute(self._statements["sites/set_cleared"], {"ids": site_ids})
            await self._tenants.refresh()
            log.info("deleted the rows of %d removed sites: %s", len(site_ids), ", ".join(site_ids))

    async def clear(self, site_ids: Sequence[str]) -> None:
        """Delete the rows of these sites, as far as they are removed. Raises EngineError."""
        parameters = {"own": self._own, "ids": list(site_ids)}
        for name, statement in self._statements.items():
            if name.startswith(FOLDER):
                for shard in self._shards():
                    await shard.execute(statement, parameters, timeout_s=TIMEOUT_S)
