"""Throw-away databases on the cluster that PULSEHOUSE_TEST_CLUSTER_URLS names."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.parts import create_cluster
from app.settings import Settings
from app.store.cluster import OWN, Cluster
from app.store.engine import Engine
from app.store.statements import load_statements
from tests.kit.databases import drop, url_of

NAME = "pulsehouse"
"""What the cluster is called in the configuration of its servers."""


def settings_of(urls: Sequence[str], database: str) -> dict[str, str]:
    """The settings of a service on a database of the cluster."""
    return {"clickhouse_url": ",".join(url_of(url, database) for url in urls), "clickhouse_cluster": NAME}


@asynccontextmanager
async def cluster_of(urls: Sequence[str], database: str) -> AsyncIterator[Cluster]:
    """A cluster on a database of its own, not prepared; dropped after it."""
    cluster = create_cluster(Settings(**settings_of(urls, database)), load_statements())  # type: ignore[arg-type]
    try:
        yield cluster
    finally:
        await cluster.close()
        drop_everywhere(urls, database)


def drop_everywhere(urls: Sequence[str], database: str) -> None:
    """Throw a database of the cluster away, on each node."""
    for url in urls:
        for name in (database, database + OWN):
            drop(url_of(url, name))


def own_engines(cluster: Cluster) -> list[Engine]:
    """The engines on the nodes' own tables."""
    return [node.own for node in cluster.nodes]
