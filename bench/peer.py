"""P12: the usual shape beside ours: a service that answers each poll by one statement per field over the raw signals.

The same signals, the same server, the same HTTP stack; 100 sites, 100 pageviews/s, log-uniform. What counts are ratios.
"""

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import clickhouse_connect
import httpx
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar, Response, get
from litestar.params import Parameter

from app.cli.serve import connection_options
from app.settings import read_settings
from bench.harness import SQL, WINDOW_S, Database, Load, Service, serve, traffic, wrk

if TYPE_CHECKING:
    from bench.__main__ import Report

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


def measure(url: str, report: "Report", *, quick: bool) -> None:
    rounds, seconds = (2, 2) if quick else (3, 5)
    with Database(url) as database:
        database.add_sites(SITES)
        until = datetime.now(UTC) + timedelta(seconds=WINDOW_S)  # so that the window is full while it is measured
        database.load(
            traffic(until=until, rate=100, seconds=2 * WINDOW_S, sites=SITES, visitors=1_000, skew=True), block=100
        )
        command = [sys.executable, "-m", "bench.peer"]
        peer = Service(command, {"PULSEHOUSE_CLICKHOUSE_URL": database.url}, ready="/api/realtime")
        with serve(database.url) as ours, peer:
            for connections in CONNECTIONS:
                turns: list[list[Load]] = []
                for _ in range(rounds):
                    turn = [
                        wrk(each.url, "poll", connections=connections, seconds=seconds, sites=SITES)
                        for each in (ours, peer)
                    ]
                    turns.append(turn)
                    # It still asks what nobody waits for any more, before this; ours begins when that is done.
                    httpx.get(f"{peer.url}/api/realtime", timeout=60).raise_for_status()
                tell(report, connections, turns)


def tell(report: "Report", connections: int, turns: list[list[Load]]) -> None:
    over = f"{connections} connection{'s' if connections > 1 else ''}"
    report.tell("P12", f"full answers/s over {over}", [mine.requests_per_s for mine, _ in turns])
    report.tell("P12", "the same by five statements for each poll", [theirs.requests_per_s for _, theirs in turns])
    report.tell("P12", f"ms, median of an answer over {over}", [mine.p50_ms for mine, _ in turns])
    answered = [(mine, theirs) for mine, theirs in turns if theirs.requests_per_s]
    if answered:  # on a busy machine five statements may take longer than they are asked for
        ratios = [mine.requests_per_s / theirs.requests_per_s for mine, theirs in answered]
        report.tell("P12", "answers/s / those by five statements", ratios)
        report.tell("P12", "ms, the same by five statements", [theirs.p50_ms for _, theirs in answered])


def main() -> None:
    parser = argparse.ArgumentParser(description="Be the peer; bench.harness.Service runs it.")
    parser.add_argument("--port", type=int, required=True)
    serve_peer(parser.parse_args().port)


if __name__ == "__main__":
    main()
