"""Databases of tests, on a server and in a folder."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client

SIGNALS_PER_PAGE = "SELECT page, count() FROM signals GROUP BY page"
# A process opens one folder, and that of the tests may have another one open.
ASK_FOLDER = """
import json, sys, clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1], database="pulsehouse")
print(json.dumps(client.query(sys.argv[2]).result_rows))
"""


def new_name() -> str:
    """A name for a database that a test throws away."""
    return f"test_{uuid.uuid4().hex[:12]}"


def url_of(server_url: str, name: str) -> str:
    """The address of a database of a server whose address names another one."""
    return f"{server_url.rpartition('/')[0]}/{name}"


@contextmanager
def connection(url: str) -> Iterator[Client]:
    """A client of a database of a server."""
    client = clickhouse_connect.get_client(dsn=url)
    try:
        yield client
    finally:
        client.close()


def drop(url: str) -> None:
    """Throw a database of a server away."""
    with connection(url_of(url, "default")) as client:
        client.command(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} SYNC")


def signals_per_page(where: str) -> dict[str, int]:
    """How many signals each page has in a database of a server, or in a folder that no process has open."""
    if "://" in where:
        with connection(where) as client:
            return {str(page): int(signals) for page, signals in client.query(SIGNALS_PER_PAGE).result_rows}
    ask = [sys.executable, "-c", ASK_FOLDER, where, SIGNALS_PER_PAGE]
    return dict(json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout))
