"""Adds and removes analysts, users of ClickHouse who see the rows of one tenant, and finds what shows them more."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from app.domain.analysts import Analyst
from app.domain.errors import StartupError
from app.store.cluster import Cluster
from app.store.engine import Engine, EngineError, Result, decode_rows
from app.store.statements import Statement, with_identifiers
from app.store.versions import shows_hidden_keys

ROLE = ("role", "limits", "quota", "all_rows", "own_name", "own_sites", "own_signals", "own_minutes", "rights")
"""What makes the role, every policy before the rights; safe to run again, which brings it to this version's tables."""
COPY = ("cluster/analyst_sites", "cluster/copy", "cluster/all_copied", "cluster/own_copied", "cluster/rights")
"""What each node of a cluster has besides, before the policies that look there."""
ASSIGN = ("unassign", "assign")
"""Where sites and keys are; until the last one the user sees no rows. What somebody of the same name has left goes
first."""
ADD = (*ROLE, "user", *ASSIGN)
REMOVE = ("unassign", "drop")
EVERY, FIRST = "On every node of the cluster", "On one node of the first shard"
"""Where a part of a script is to run, unless all is on one machine."""
USER_EXISTS = 493

Parameters = Mapping[str, str]
Outcome = TypeVar("Outcome")
Finding = Literal[
    "no_secret",
    "no_policy",
    "open_view",
    "more_than_reading",
    "no_tenant",
    "no_user",
    "several_tenants",
    "shows_hidden_keys",
    "not_known",
]


class AnalystRow(msgspec.Struct, frozen=True):
    """A row of table analysts."""

    name: str
    tenant: str
    created_at: datetime


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that breaks the promise, as analysts/audit returns it; `shows_hidden_keys` says what in `what`.

    On a cluster also `no_secret`, and `not_known` where `who` is a node that did not say; `nodes` are those on which it
    is so.
    """

    finding: Finding
    who: str
    what: str
    nodes: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a change on one node of a cluster; `error` is empty where it was made."""

    node: str
    error: str = ""


class _Known(msgspec.Struct, frozen=True):
    analyst: bool


class _Node(msgspec.Struct, frozen=True):
    node: str


_ANALYSTS = msgspec.json.Decoder(Result[AnalystRow])
_FOUND = msgspec.json.Decoder(Result[Found])
_KNOWN = msgspec.json.Decoder(Result[_Known])
_NODES = msgspec.json.Decoder(Result[_Node])


class Analysts:
    """The analysts of one database, or of a cluster. Every method that runs statements raises EngineError; on a cluster
    those that change users do so when no node could, and else return what each did."""

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        *,
        service_user: str,
        cluster: Cluster | None = None,
    ) -> None:
        """`engine` has the table of analysts; `service_user` is who goes on seeing all rows."""
        self._engine = engine
        self._cluster = cluster
        self._service_user = service_user
        self._statements = statements
        self._role = (*ROLE[:-3], *COPY, *ROLE[-3:]) if cluster else ROLE
        self._identifiers = {
            "database": cluster.nodes[0].whole.database if cluster else engine.database,
            "own": engine.database,
            "sites": "analyst_sites" if cluster else "sites",
            "service": service_user,
        }

    async def add(self, analyst: Analyst) -> list[Done]:
        """Create the user, and the role of all analysts as this version has it.

        Raises StartupError on a cluster whose nodes do not ask each other as the analyst, or where there is a user of
        that name on a node.
        """
        parameters = _parameters(analyst)
        if self._cluster:
            await self._require_secret()
            for node, rows in await self._known(analyst.name):
                if rows:
                    raise StartupError(f"there is a user {analyst.name} on {node}; remove it first")
        done = await self._run_on_each((*self._role, "user"), parameters)
        await self._run(self._engine, ASSIGN, parameters)
        return done

    async def make_role(self) -> list[Done]:
        """Bring the role of all analysts to what this version has."""
        return await self._run_on_each(self._role, {})

    async def remove(self, name: str) -> list[Done]:
        """Take the rights away and drop the user; nothing where there is none."""
        unassign, *drop = REMOVE
        await self._run(self._engine, (unassign,), {"name": name})
        return await self._run_on_each(tuple(drop), {"name": name})

    async def exists(self, name: str) -> bool:
        """Whether there is such an analyst, or what is left of one."""
        if any(row.name == name for row in await self.everybody()):
            return True
        return any(row.analyst for _, rows in await self._known(name) for row in rows)

    def script_to_add(self, analyst: Analyst) -> str:
        """What `add` runs, for clickhouse-client."""
        return "".join(self._script(_parameters(analyst), (EVERY, (*self._role, "user")), (FIRST, ASSIGN)))

    def script_to_make_role(self) -> str:
        """What `make_role` runs, for clickhouse-client."""
        return "".join(self._script({}, (EVERY, self._role)))

    def script_to_remove(self, name: str) -> str:
        """What `remove` runs, for clickhouse-client."""
        unassign, *drop = REMOVE
        return "".join(self._script({"name": name}, (FIRST, (unassign,)), (EVERY, drop)))

    async def everybody(self) -> list[AnalystRow]:
        """The analysts, by name."""
        return decode_rows(await self._engine.fetch(self._statements["analysts/list"]), _ANALYSTS)

    async def audit(self) -> list[Found]:
        """What lets a user see more than the rows of one tenant, or an analyst less; the worst first."""
        nodes_of: dict[Found, list[str]] = {}
        for node, found in await self._on_each(self._audit):
            for one in [Found("not_known", node, found.detail)] if isinstance(found, EngineError) else found:
                nodes_of.setdefault(one, []).append(node)
        return [msgspec.structs.replace(one, nodes=tuple(filter(None, nodes))) for one, nodes in nodes_of.items()]

    async def _audit(self, engine: Engine) -> list[Found]:
        body = await engine.fetch(self._statements["analysts/audit"], {"own": self._engine.database})
        found = [
            *(Found("no_secret", "", asked) for asked in await self._asked_as_another(engine)),
            *decode_rows(body, _FOUND),
        ]
        version = (await engine.fetch(self._statements["version"])).decode(errors="replace")
        if shown := shows_hidden_keys(version):
            found.append(Found("shows_hidden_keys", "", shown))
        return found

    async def _asked_as_another(self, engine: Engine) -> list[str]:
        """The nodes that a node asks as another user than the one who asks it; none on one machine."""
        if not self._cluster:
            return []
        asked = {"cluster": self._cluster.name}
        body = await engine.fetch(self._statements["analysts/cluster/without_secret"], asked)
        return [row.node for row in decode_rows(body, _NODES)]

    async def _require_secret(self) -> None:
        for node, asked in await self._on_each(self._asked_as_another):
            if asked and not isinstance(asked, EngineError):
                raise StartupError(
                    f"{node} asks {asked[0]} as another user than who asks, which shows an analyst whom it does "
                    "not know all its rows; give the cluster a <secret> in remote_servers, the same on every node: "
                    "docs/cluster.md"
                )

    async def _known(self, name: str) -> list[tuple[str, list[_Known]]]:
        """By node the user of that name, if there is one; without the nodes that do not answer."""

        async def ask(engine: Engine) -> list[_Known]:
            return decode_rows(await engine.fetch(self._statements["analysts/known"], {"name": name}), _KNOWN)

        return [(node, rows) for node, rows in await self._on_each(ask) if not isinstance(rows, EngineError)]

    async def _run_on_each(self, names: Sequence[str], parameters: Parameters) -> list[Done]:
        outcomes = await self._on_each(lambda engine: self._run(engine, names, parameters))
        return [Done(node, error.detail if error else "") for node, error in outcomes if node]

    async def _run(self, engine: Engine, names: Sequence[str], parameters: Parameters) -> None:
        for statement in self._statements_of(names, parameters):
            try:
                await engine.execute(statement, parameters)
            except EngineError as error:
                # `add` has looked before: the nodes keep their users in one place, and another has just made this one.
                if not (self._cluster and error.code == USER_EXISTS):
                    raise

    async def _on_each(self, work: Callable[[Engine], Awaitable[Outcome]]) -> list[tuple[str, Outcome | EngineError]]:
        """The name and outcome of each node, of one machine without a name. Raises when none could."""
        if not self._cluster:
            return [("", await work(self._engine))]
        outcomes: list[tuple[str, Outcome | EngineError]] = []
        for node in self._cluster.nodes:
            try:
                outcomes.append((node.name, await work(node.reached)))
            except EngineError as error:
                outcomes.append((node.name, error))
        errors = [outcome for _, outcome in outcomes if isinstance(outcome, EngineError)]
        if len(errors) == len(outcomes):
            raise errors[0]
        return outcomes

    def _script(self, parameters: Parameters, *parts: tuple[str, Sequence[str]]) -> Iterator[str]:
        if not self._cluster:
            parts = (("", [name for _, names in parts for name in names]),)
        for where, names in parts:
            if where:
                yield f"-- {where}:\n"
            yield f"USE {_quoted(self._identifiers['own' if where == FIRST else 'database'], '`')};\n"
            for name, value in parameters.items():
                yield f"SET param_{name} = {_quoted(value, chr(39))};\n"
            for statement in self._statements_of(names, parameters):
                yield f"\n{statement.text.rstrip()};\n"

    def _statements_of(self, names: Sequence[str], parameters: Parameters) -> Iterator[Statement]:
        identifiers = self._identifiers | ({"analyst": parameters["name"]} if "name" in parameters else {})
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
