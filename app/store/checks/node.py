"""Whether a node of a cluster works with the others: shards, replicas, what waits to be sent."""

import msgspec

from app.domain.findings import Finding
from app.store.checks.examined import Examined
from app.store.engine import EngineError
from app.store.one_of import UNREACHED

LAG_S = 60
"""So far a replica may be behind: fetching a large part takes its time."""
DENIED = frozenset({192, 193, 194, 497, 516})


class _Replica(msgspec.Struct, frozen=True):
    table: str
    read_only: bool
    delay_s: int
    active: int
    total: int


class _Queue(msgspec.Struct, frozen=True):
    table: str
    files: int
    error: str


async def check_shards(examined: Examined) -> list[Finding]:
    """Whether the node reaches a replica of every shard, as the user of the service."""
    try:
        await examined.whole.fetch(examined.statements["doctor/shards"])
    except EngineError as error:
        if error.code not in UNREACHED | DENIED:
            raise
        way_out = "is port 9000 open between all nodes, and are <secret> and the user the same on each?"
        return [Finding("shards", "error", f"it does not reach every shard: {error.detail}", way_out)]
    return [Finding("shards", "ok", "reaches every shard")]


async def check_replicas(examined: Examined) -> list[Finding]:
    """Whether the node's tables with replicas take INSERTs, and are not behind."""
    replicas = await examined.rows("doctor/replicas", _Replica)
    findings = []
    for replica in replicas:
        if replica.read_only:
            way_out = "does Keeper answer (system.zookeeper_connection)? else SYSTEM RESTORE REPLICA"
            findings.append(Finding("replicas", "error", f"{replica.table} is read-only: no INSERTs here", way_out))
        elif replica.delay_s > LAG_S:
            says = f"{replica.table} is {replica.delay_s} s behind the other replica"
            findings.append(Finding("replicas", "warning", says, "see system.replication_queue: last_exception"))
        elif replica.active < replica.total:
            says = f"{replica.table}: {replica.active} of {replica.total} replicas are there"
            findings.append(
                Finding("replicas", "warning", says, "start the others; one that is gone: SYSTEM DROP REPLICA")
            )
    if not findings and replicas:
        findings.append(Finding("replicas", "ok", f"{len(replicas)} tables, none read-only or behind"))
    return findings


async def check_queues(examined: Examined) -> list[Finding]:
    """Whether rows wait on the node for another shard: the service never leaves any, an INSERT by hand may."""
    findings = []
    for queue in await examined.rows("doctor/queues", _Queue, examined.whole):
        says = f"{queue.files} INSERTs into {queue.table} wait here for their shard"
        if queue.error:
            says += f": {queue.error}"
        way_out = f"SYSTEM FLUSH DISTRIBUTED {examined.whole.database}.{queue.table}; distributed_foreground_insert = 1"
        findings.append(Finding("queues", "warning", says, way_out))
    return findings or [Finding("queues", "ok", "no rows wait for another shard")]
