"""Where a command works: the database of one machine, or those of a cluster, as they are."""

from collections.abc import Sequence

import msgspec

from app.domain.errors import StartupError
from app.store.cluster import Cluster, Node
from app.store.engine import Engine


class Places(msgspec.Struct, frozen=True):
    """The engines that a command needs, which on one machine are one.

    whole    has every table
    control  has sites, keys and salts
    shards   have the rows: of each shard its first replica that answers
    """

    whole: Engine
    control: Engine
    shards: Sequence[Engine]
    cluster: Cluster | None = None


def on_one_machine(engine: Engine) -> Places:
    """All on one engine."""
    return Places(engine, engine, [engine])


async def on_cluster(cluster: Cluster, *, create: bool = False) -> Places:
    """Those of a cluster; with `create` its databases are made where they are missing, on every node.

    Raises StartupError when a shard, or with `create` a node, does not answer, or is not what the settings say, and
    EngineError when none answers.
    """
    errors = await cluster.find(create=create)
    firsts = first_of_each_shard(cluster)
    if not firsts:
        raise next(filter(None, errors))
    missing = [node.name for node in cluster.nodes if not node.answers]
    if len(firsts) < cluster.size or (create and missing):
        all_of = "every node" if create else "a node of every shard"
        raise StartupError(f"this needs {all_of}, and nothing was done: no answer from {', '.join(missing)}")
    return Places(firsts[0].whole, firsts[0].own, [node.own for node in firsts], cluster)


def first_of_each_shard(cluster: Cluster) -> list[Node]:
    """Of each shard that answers its first replica that does, in the order of the shards."""
    firsts: dict[int, Node] = {}
    for place, node in sorted(
        ((node.place, node) for node in cluster.nodes if node.place and node.answers),
        key=lambda found: (found[0].shard, found[0].replica),
    ):
        firsts.setdefault(place.shard, node)
    return list(firsts.values())
