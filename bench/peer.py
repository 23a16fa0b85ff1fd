"""The usual shape beside ours: a service that answers each poll by one statement per field over the raw signals.

    python -m bench.peer --clickhouse http://default:@127.0.0.1:8123        2 minutes

The same signals, the same server, the same HTTP stack; 100 sites, 100 pageviews/s, log-uniform. What counts are ratios.
"""

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import clickhouse_connect
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar, Response, get
from litestar.params import Parameter
from rich.console import Console
from rich.table import Table

from app.cli.serve import connection_options
from app.settings import read_settings
from bench.harness import SQL, WINDOW_S, Database, Load, Service, serve, traffic, wrk

SITES = 100
CONNECTIONS = (1, 32, 256)
FIELDS = [text for name, text in SQL.items() if name.startswith("peer_")]


def create_worker() -> Litestar:
    """The peer: five statements at once for each poll, their results as they come."""
    opened: list[Any] = []
    at_once = asyncio.Semaphore(32)

    async def ask(text: str, parameters: dict[str, Any]) -> bytes:
        async with at_once:
            return bytes(await opened[0].raw_query(text, parameters))

    @get("/api/realtime")
    async def answer(site_id: Annotated[str, Parameter(query="siteId")] = "site_1") -> Response[bytes]:
        parameters = {"sites": [site_id], "now": datetime.now(UTC).replace(microsecond=0)}
        return Response(b"".join(await asyncio.gather(*(ask(text, parameters) for text in FIELDS))))

    async def connect() -> None:
        opened.append(
            await clickhouse_connect.get_async_client(
                dsn=os.environ["PULSEHOUSE_CLICKHOUSE_URL"], compress=False, autogenerate_session_id=False
            )
        )

    return Litestar([answer], on_startup=[connect], openapi_config=None, logging_config=None)


def serve_peer(port: int) -> None:
    Granian(
        "bench.peer:create_worker",
        port=port,
        workers=1,
        interface=Interfaces.ASGI,
        factory=True,
        **connection_options(read_settings({})),
        log_level=LogLevels.warning,
    ).serve()


def ratio(turn: Sequence[Load]) -> float:
    """Ours over theirs, who may answer nothing in that time on a busy machine."""
    mine, theirs = turn
    return mine.requests_per_s / theirs.requests_per_s if theirs.requests_per_s else math.inf


def measure(url: str, rounds: int, seconds: float) -> Table:
    table = Table(title="full answers/s", title_justify="left")
    for column in ("connections", "ours", "five statements", "ratio", "ours p50 ms", "theirs p50 ms"):
        table.add_column(column, justify="right")
    with Database(url) as database:
        database.add_sites(SITES)
        until = datetime.now(UTC) + timedelta(seconds=WINDOW_S)  # so that the window is full while it is measured
        database.load(
            traffic(until=until, rate=100, seconds=2 * WINDOW_S, sites=SITES, visitors=1_000, skew=True), block=100
        )
        command = [sys.executable, "-m", "bench.peer", "--clickhouse", database.url]
        peer = Service(command, {"PULSEHOUSE_CLICKHOUSE_URL": database.url}, ready="/api/realtime")
        with serve(database.url) as ours, peer:
            for connections in CONNECTIONS:
                turns = [
                    [
                        wrk(each.url, "poll", connections=connections, seconds=seconds, sites=SITES)
                        for each in (ours, peer)
                    ]
                    for _ in range(rounds)
                ]
                mine, theirs = sorted(turns, key=ratio)[rounds // 2]
                rates = (mine.requests_per_s, theirs.requests_per_s, ratio((mine, theirs)))
                table.add_row(str(connections), *(f"{value:,.1f}" for value in (*rates, mine.p50_ms, theirs.p50_ms)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clickhouse", metavar="URL", default=os.environ.get("CLICKHOUSE_URL"))
    parser.add_argument("--seconds", type=float, default=5, help="of each load; three rounds")
    parser.add_argument("--port", type=int, help="be the peer, on this port")
    args = parser.parse_args()
    if not args.clickhouse:
        parser.error("name a ClickHouse server by --clickhouse or CLICKHOUSE_URL")
    if args.port:
        serve_peer(args.port)
    else:
        Console(width=None if sys.stdout.isatty() else 130).print(measure(args.clickhouse, 3, args.seconds))


if __name__ == "__main__":
    main()
