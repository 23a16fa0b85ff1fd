"""A cluster of ClickHouse servers: which node is which, whether it answers, and that its tables are as they must be.

ClickHouse's Distributed tables route and choose among replicas. What is known here is which node to ask.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from app import metrics
from app.domain.errors import StartupError
from app.store.engine import Engine, EngineError, Result, decode_rows
from app.store.one_of import OneOf
from app.store.schema import Layout, prepare_database, require_fitting_tables
from app.store.statements import Statement

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

OWN = "_local"
"""What the name of the database of a node's own tables has behind that of the database that the service works on."""

LOOK_TIMEOUT_S = 3.0
"""A node that takes longer to say which one it is is not asked for anything else."""

SETTINGS: Mapping[str, str | int] = {
    # An INSERT is done when the shard has it; a SELECT asks the shards of its sites alone, and all of those.
    "distributed_foreground_insert": 1,
    "parallel_distributed_insert_select": 0,
    "optimize_skip_unused_shards": 1,
    "optimize_skip_unused_shards_limit": 1_000_000,
    "skip_unavailable_shards": 0,
    # The first replica that lives, never one that lags, and never two.
    "load_balancing": "in_order",
    "use_hedged_requests": 0,
    "fallback_to_stale_replicas_for_distributed_queries": 0,
    # A node that is stopped, not dead, takes the connection and says nothing.
    "connect_timeout_with_failover_ms": 1_000,
    "handshake_timeout_ms": 2_000,
}
"""What ClickHouse must do so that an answer through a Distributed table is as fresh and whole as one from a table."""

_TABLE = re.compile(r"^(?:CREATE|ALTER) TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_VIEW = re.compile(r"^CREATE (?:OR REPLACE )?VIEW ", re.MULTILINE)
_ENGINE = re.compile(r"^ENGINE = (\w*MergeTree)(?:\((.*)\))?$", re.MULTILINE)


class Place(msgspec.Struct, frozen=True):
    """What sql/cluster/node.sql says: a node's shard and replica, counted from 1, and how large the cluster is."""

    shard: int
    replica: int
    shards: int
    nodes: int
    even: bool


_PLACE = msgspec.json.Decoder(Result[Place])


class Node:
    """A server of the cluster: its engine on the tables of the whole cluster, and the one on its own tables."""

    def __init__(self, whole: Engine, own: Engine) -> None:
        self.whole = whole
        self.own = own
        self.place: Place | None = None
        """As it said last; None before it has answered."""
        self.answers = False
        """It did when it was looked at last."""
        self.prepared = False
        """Its tables are as they must be; not known of one that could not be reached since: it may be another."""

    @property
    def name(self) -> str:
        """Its host and port, for people."""
        return self.whole.name.partition("://")[2].removesuffix(f"/{self.whole.database}")

    @property
    def reached(self) -> Engine:
        """The engine of one that has answered. Raises EngineError."""
        if not self.prepared:
            raise EngineError(None, written=False, detail="does not answer")
        return self.whole


class Cluster:
    """The nodes of a cluster."""

    def __init__(
        self, name: str, nodes: Sequence[Node], statements: Mapping[str, Statement], *, replicated: bool
    ) -> None:
        self.name = name
        self.nodes = nodes
        self._statements = statements
        self._replicated = replicated
        self._database = nodes[0].whole.database
        self._whole_name = ", ".join(node.whole.name for node in nodes)
        self.control = OneOf(self._whole_name, nodes[0].own.database, partial(self._nodes_of, 0, lambda node: node.own))
        """Sites, keys, salts: tables of the first shard's own."""

    @property
    def size(self) -> int:
        """How many shards it has, as far as is known."""
        return max((node.place.shards for node in self.nodes if node.place), default=1)

    def lane(self, shard: int) -> Engine:
        """The engine for the sites of a shard, counted from 0: through its own nodes, else through any."""
        return OneOf(self._whole_name, self._database, partial(self._nodes_for, shard))

    def shards(self) -> list[Engine]:
        """For each shard the engine that its own nodes are, on the tables of the whole cluster."""
        whole: Callable[[Node], Engine] = lambda node: node.whole  # noqa: E731
        return [
            OneOf(f"shard {shard + 1} of {self.name}", self._database, partial(self._nodes_of, shard, whole))
            for shard in range(self.size)
        ]

    async def prepare(self, *, again: bool = False) -> list[str]:
        """Prepare every node that answers; return the names of the migrations that were applied on any.

        With `again` run the others too, which make what is not in a backup. Raises StartupError when a node or its
        tables are not what the settings say, EngineError when none answers.
        """
        outcomes = await self._ask_all(partial(self._look_at, again=again))
        errors = [outcome for outcome in outcomes if isinstance(outcome, EngineError)]
        if len(errors) == len(self.nodes):
            raise errors[0]
        return sorted({name for outcome in outcomes if isinstance(outcome, list) for name in outcome})

    async def find(self, *, create: bool = False) -> list[EngineError | None]:
        """Find out which part each node is; return what went wrong with each. Changes nothing, but for the database
        that is made where it is missing with `create`.

        Raises StartupError when a node is not what the settings say.
        """
        outcomes = await self._ask_all(partial(self._find, create=create))
        return [outcome if isinstance(outcome, EngineError) else None for outcome in outcomes]

    async def _ask_all(self, ask: Callable[[Node], Awaitable[Answer]]) -> list[Answer | EngineError]:
        outcomes = await asyncio.gather(*map(ask, self.nodes), return_exceptions=True)
        answers: list[Answer | EngineError] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, EngineError):
                raise outcome
            answers.append(outcome)
        self._require_each_once()
        return answers

    async def look(self) -> None:
        """Find out which nodes answer, and prepare those that did not before. Raises what went wrong with the first."""
        outcomes = await asyncio.gather(*map(self._look_at, self.nodes), return_exceptions=True)
        self._tell_shards()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def layout(self, place: Place) -> Layout:
        """What the tables of a node are to be."""
        return Layout(self.nodes[0].own.database, self.name, place.shards, self._replicated)

    async def close(self) -> None:
        """Let go of all connections."""
        for node in self.nodes:
            await node.whole.close()
            await node.own.close()

    async def _look_at(self, node: Node, *, again: bool = False) -> list[str]:
        try:
            place = await self._find(node, create=node.place is None)
            applied = [] if node.prepared else await self._prepare(node, place, again=again)
        except Exception:
            node.answers = False
            raise
        node.prepared = True
        return applied

    async def _find(self, node: Node, *, create: bool = False) -> Place:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                if create:
                    await node.whole.create_database(self._statements["create_database"])
                body = await node.whole.fetch(self._statements["cluster/node"], {"cluster": self.name})
            (node.place,) = decode_rows(body, _PLACE)
            self._require_place(node, node.place)
        except TimeoutError:
            node.answers = False
            raise EngineError(None, written=False, detail=f"{node.whole.name} does not answer") from None
        except Exception:  # not where who asked has gone, which says nothing of the node
            node.answers = node.prepared = False
            raise
        node.answers = True
        return node.place

    def _require_place(self, node: Node, place: Place) -> None:
        where = f"PULSEHOUSE_CLICKHOUSE_CLUSTER: {node.whole.name}"
        if not place.nodes:
            raise StartupError(f"{where} knows no cluster {self.name!r}; add it to remote_servers")
        if not place.shard:
            raise StartupError(f"{where} is no node of the cluster {self.name!r} by its own remote_servers")
        if not place.even:
            raise StartupError(f"{where} has shards of different weights in the cluster {self.name!r}; leave them out")
        if place.nodes != len(self.nodes):
            raise StartupError(
                f"PULSEHOUSE_CLICKHOUSE_URL names {len(self.nodes)} nodes, but the cluster {self.name!r} has "
                f"{place.nodes}; name each once"
            )

    def _require_each_once(self) -> None:
        places = [(node.place.shard, node.place.replica) for node in self.nodes if node.place]
        if len(set(places)) < len(places):
            raise StartupError("PULSEHOUSE_CLICKHOUSE_URL names a node of the cluster twice; name each once")

    async def _prepare(self, node: Node, place: Place, *, again: bool) -> list[str]:
        layout = self.layout(place)

        async def apply(statement: Statement) -> None:
            await self._apply(node, statement, place.shards)

        await node.own.create_database(self._statements["create_database"])
        applied = await prepare_database(node.whole, self._statements, layout, apply, again=again)
        await require_fitting_tables(node.whole, self._statements, layout)
        if applied:
            log.info("applied %d migrations on %s", len(applied), node.whole.name)
        return applied

    async def _apply(self, node: Node, statement: Statement, shards: int) -> None:
        """Carry out a migration: a view of the whole cluster's tables, or something of the node's own."""
        if _VIEW.search(statement.text):
            await node.whole.execute(statement)
            return
        await node.own.execute(replicated(statement) if self._replicated else statement)
        if table := _TABLE.search(statement.text):
            await node.own.execute(
                self._statements[f"cluster/{table[1]}"],
                {"whole": node.whole.database, "cluster": self.name, "shards": shards},
            )

    def _nodes_for(self, shard: int) -> list[Engine]:
        """All nodes: those that answer before those that may, the shard's own first."""
        ready = [node for node in self.nodes if node.prepared]
        return [node.whole for node in sorted(ready, key=lambda node: (not node.answers, _shard_of(node) != shard))]

    def _nodes_of(self, shard: int, engine: Callable[[Node], Engine]) -> list[Engine]:
        """The shard's own nodes: those that answer before those that may."""
        ready = [node for node in self.nodes if node.prepared and _shard_of(node) == shard]
        return [engine(node) for node in sorted(ready, key=lambda node: not node.answers)]

    def _tell_shards(self) -> None:
        for shard in range(self.size):
            answers = any(node.answers for node in self.nodes if _shard_of(node) == shard)
            metrics.shard_answers.labels(str(shard + 1)).set(answers)


def _shard_of(node: Node) -> int | None:
    """Counted from 0; None for one that has not answered yet."""
    return node.place.shard - 1 if node.place else None


def replicated(statement: Statement) -> Statement:
    """The statement with its engine's line for a table with replicas; as it is where there is no such line."""

    def rewritten(engine: re.Match[str]) -> str:
        arguments = ", ".join(
            ["'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'", *filter(None, [engine[2]])]
        )
        return f"ENGINE = Replicated{engine[1]}({arguments})"

    return Statement(statement.name, _ENGINE.sub(rewritten, statement.text))
