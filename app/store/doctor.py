"""Examines the database: what would break answers, exactly-once or promises, and what will before long."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from app.domain.clock import Clock
from app.domain.findings import Finding
from app.store.checks import database, operation
from app.store.checks import node as nodes
from app.store.checks.examined import Examined
from app.store.cluster import Cluster, Node
from app.store.engine import Engine, EngineError
from app.store.migrations import Migration
from app.store.places import first_of_each_shard
from app.store.statements import Statement

DENIED = 497

Checks = Sequence[tuple[str, Callable[[Examined], Awaitable[list[Finding]]]]]

CHECKS: Checks = (
    ("version", database.check_version),
    ("rights", database.check_rights),
    ("profile", database.check_profile),
    ("clock", database.check_clock),
    ("schema", database.check_schema),
    ("tables", database.check_tables),
    ("parts", operation.check_parts),
    ("disk", operation.check_disks),
    ("signals", operation.check_signals),
    ("salts", operation.check_salts),
    ("retention", operation.check_retention),
    ("backups", operation.check_backups),
    ("logs", operation.check_system_logs),
)
"""In the order in which they are shown."""
ONCE = ("signals", "salts")
"""What a cluster has once; everything else is looked at on each node."""
OF_NODES: Checks = (
    *(check for check in CHECKS if check[0] not in ONCE),
    ("replicas", nodes.check_replicas),
    ("queues", nodes.check_queues),
)


async def examine(
    engine: Engine,
    statements: Mapping[str, Statement],
    migrations: Sequence[Migration],
    clock: Clock,
    backup_folder: Path | None,
) -> AsyncIterator[Finding]:
    """Yield what is found, check by check; changes nothing. Raises EngineError when ClickHouse does not answer at all.

    `backup_folder` is where the embedded engine has its backups; None with a server.
    """
    examined = Examined(engine, engine, statements, migrations, clock, backup_folder=backup_folder)
    await examined.ask("version")
    yield Finding("clickhouse", "ok", f"{engine.name} answers")
    async for finding in _run(CHECKS, examined):
        yield finding


async def examine_cluster(
    cluster: Cluster,
    statements: Mapping[str, Statement],
    migrations: Sequence[Migration],
    clock: Clock,
    explain: Callable[[EngineError], tuple[str, str]],
) -> AsyncIterator[Finding]:
    """Yield what is found, node by node, and then what the cluster has once; changes nothing.

    `explain` says what is wrong with a node that does not answer, and what to do. Raises StartupError when a node is
    not what the settings say.
    """
    errors = await cluster.find()
    firsts = first_of_each_shard(cluster)
    is_whole = bool(firsts) and len(firsts) == cluster.size
    if firsts:
        yield Finding("cluster", "ok", f"{cluster.name}: shards {cluster.size}, nodes {len(cluster.nodes)}")
    versions: dict[str, str] = {}
    for one, error in zip(cluster.nodes, errors, strict=True):
        if error or not one.place:
            what, way_out = explain(error) if error else ("", "")
            yield Finding("node", "error", what, way_out, one.name)
            continue
        yield Finding("node", "ok", f"shard {one.place.shard}, replica {one.place.replica}", node=one.name)
        examined = Examined(one.own, one.whole, statements, migrations, clock, layout=cluster.layout(one.place))
        # Of the replicas of a shard one is backed up; that a shard does not answer is no other node's fault.
        left_out = set() if one in firsts else {"backups"}
        checks = [*((("shards", nodes.check_shards),) if is_whole else ()), *OF_NODES]
        async for finding in _run([check for check in checks if check[0] not in left_out], examined):
            yield msgspec.structs.replace(finding, node=one.name)
        if examined.version:
            versions[one.name] = examined.version
    if len(set(versions.values())) > 1:
        says = ", ".join(f"{version} on {name}" for name, version in versions.items())
        yield Finding("versions", "warning", f"ClickHouse {says}", "bring all nodes to the newest of them")
    for name, check, engine in (
        ("signals", operation.check_signals, firsts[0].whole if is_whole else None),
        ("salts", operation.check_salts, firsts[0].own if firsts and _is_first(firsts[0]) else None),
    ):
        if not engine:
            yield Finding(name, "unknown", "a shard that is needed for it does not answer", "see its nodes above")
            continue
        async for finding in _run([(name, check)], Examined(engine, engine, statements, migrations, clock)):
            yield finding


def _is_first(node: Node) -> bool:
    return node.place is not None and node.place.shard == 1


async def _run(checks: Checks, examined: Examined) -> AsyncIterator[Finding]:
    for name, check in checks:
        try:
            for finding in await check(examined):
                yield finding
        except EngineError as error:
            right = "; give the user that right to have this looked at" if error.code == DENIED else ""
            yield Finding(name, "unknown", error.detail, f"see what ClickHouse said{right}")
