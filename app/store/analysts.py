"""Adds and removes analysts, users of ClickHouse who see the rows of one tenant, and finds what shows them more."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from app.domain.analysts import Analyst
from app.store.engine import Engine, Result, decode_rows
from app.store.statements import Statement, with_identifiers
from app.store.versions import shows_hidden_keys

ROLE = ("role", "limits", "quota", "all_rows", "own_name", "own_sites", "own_signals", "own_minutes", "rights")
"""What makes the role, every policy before the rights; safe to run again, which brings it to this version's tables."""
ADD = (*ROLE, "user", "unassign", "assign")
"""Until the last one the user sees no rows. What somebody of the same name has left goes first."""
REMOVE = ("unassign", "drop")

Parameters = Mapping[str, str]
Finding = Literal[
    "no_policy", "open_view", "more_than_reading", "no_tenant", "no_user", "several_tenants", "shows_hidden_keys"
]


class AnalystRow(msgspec.Struct, frozen=True):
    """A row of table analysts."""

    name: str
    tenant: str
    created_at: datetime


class Found(msgspec.Struct, frozen=True):
    """Something that breaks the promise, as analysts/audit returns it; `shows_hidden_keys` says what in `what`."""

    finding: Finding
    who: str
    what: str


_ANALYSTS = msgspec.json.Decoder(Result[AnalystRow])
_FOUND = msgspec.json.Decoder(Result[Found])


class Analysts:
    """The analysts of one database. Every method that runs statements raises EngineError."""

    def __init__(self, engine: Engine, statements: Mapping[str, Statement], *, service_user: str) -> None:
        """`service_user` is who goes on seeing all rows."""
        self._engine = engine
        self._service_user = service_user
        self._statements = statements

    async def add(self, analyst: Analyst) -> None:
        """Create the user, and the role of all analysts as this version has it."""
        await self._run(ADD, _parameters(analyst))

    async def make_role(self) -> None:
        """Bring the role of all analysts to what this version has."""
        await self._run(ROLE, {})

    async def remove(self, name: str) -> None:
        """Take the rights away and drop the user; nothing where there is none."""
        await self._run(REMOVE, {"name": name})

    def script_to_add(self, analyst: Analyst) -> str:
        """What `add` runs, for clickhouse-client."""
        return "".join(self._script(ADD, _parameters(analyst)))

    def script_to_make_role(self) -> str:
        """What `make_role` runs, for clickhouse-client."""
        return "".join(self._script(ROLE, {}))

    def script_to_remove(self, name: str) -> str:
        """What `remove` runs, for clickhouse-client."""
        return "".join(self._script(REMOVE, {"name": name}))

    async def everybody(self) -> list[AnalystRow]:
        """The analysts, by name."""
        return decode_rows(await self._engine.fetch(self._statements["analysts/list"]), _ANALYSTS)

    async def audit(self) -> list[Found]:
        """What lets a user see more than the rows of one tenant, or an analyst less; the worst first."""
        found = decode_rows(await self._engine.fetch(self._statements["analysts/audit"]), _FOUND)
        version = (await self._engine.fetch(self._statements["version"])).decode(errors="replace")
        if shown := shows_hidden_keys(version):
            found.append(Found("shows_hidden_keys", "", shown))
        return found

    async def _run(self, names: tuple[str, ...], parameters: Parameters) -> None:
        for statement in self._statements_of(names, parameters):
            await self._engine.execute(statement, parameters)

    def _script(self, names: tuple[str, ...], parameters: Parameters) -> Iterator[str]:
        yield f"USE {_quoted(self._engine.database, '`')};\n"
        for name, value in parameters.items():
            yield f"SET param_{name} = {_quoted(value, chr(39))};\n"
        for statement in self._statements_of(names, parameters):
            yield f"\n{statement.text.rstrip()};\n"

    def _statements_of(self, names: tuple[str, ...], parameters: Parameters) -> Iterator[Statement]:
        identifiers = {"database": self._engine.database, "service": self._service_user}
        if name := parameters.get("name"):
            identifiers["analyst"] = name
        for statement in names:
            yield with_identifiers(self._statements[f"analysts/{statement}"], identifiers)


def _parameters(analyst: Analyst) -> Parameters:
    return {
        "name": analyst.name,
        "tenant": analyst.tenant,
        "password_sha256": analyst.password_sha256,
    }


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
