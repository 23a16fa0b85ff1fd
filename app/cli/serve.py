"""`pulsehouse serve`: runs the API."""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from typing import Any

import rich_click as click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server as EmbeddedServer

from app.cli.database import own_folder
from app.cli.explain import explain
from app.domain.errors import Refusal, StartupError
from app.http.requests import READ_WITHIN_S
from app.log import GRANIAN_LOGGING
from app.process import spare_garbage_collector
from app.settings import Settings
from app.store.engine import EngineError
from app.store.store import Store
from app.wiring import create_app, create_store, create_work, read_settings_and_log, trusted_proxies

log = logging.getLogger(__name__)

BACKLOG = 2048
MAX_CONNECTIONS = 16_384  # per worker; granian's own limit would be the backlog over the workers
WAIT_FOR_CLICKHOUSE_S = 60


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen on.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes; more than 1 need a server."
)
def serve(host: str, port: int, workers: int) -> None:
    """Apply migrations, then serve the API until SIGTERM or Ctrl-C."""
    try:
        _serve(host, port, workers)
    except (StartupError, Refusal) as error:  # said as all that follows a start is
        log.critical("%s", explain(error))
        raise SystemExit(1) from None


def _serve(host: str, port: int, workers: int) -> None:
    settings = read_settings_and_log("main", os.environ)
    trusted_proxies(settings)
    store = create_store(settings)
    if workers > 1 and not settings.clickhouse_url:
        raise click.UsageError("the embedded engine has one worker; set PULSEHOUSE_CLICKHOUSE_URL to use more")
    require_free_port(host, port)
    if settings.clickhouse_url:
        asyncio.run(_prepare(store))
        _serve_workers(settings, store.engine.name, host, port, workers)
    else:
        with own_folder(settings):
            asyncio.run(serve_here(settings, store, host, port))


def require_free_port(host: str, port: int) -> None:
    """Raise StartupError when nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartupError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None


async def _prepare(store: Store) -> None:
    """Migrate, waiting a while for a ClickHouse that is still starting; close the store."""
    give_up_s = time.monotonic() + WAIT_FOR_CLICKHOUSE_S
    try:
        while True:
            try:
                await store.prepare()
                await store.warn_of_version()
                return
            except EngineError as error:
                if error.code is not None or time.monotonic() > give_up_s:
                    raise
                log.warning("waiting for ClickHouse at %s", store.engine.name)
                await asyncio.sleep(1)
    finally:
        await store.close(0)


def _serve_workers(settings: Settings, database: str, host: str, port: int, workers: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pulsehouse-metrics-") as folder:
        # Workers import everything afresh: prometheus_client reads its variable when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        multiprocessing.set_start_method("spawn")
        server = Granian(
            "app.wiring:create_worker",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            factory=True,
            workers=workers,
            **connection_options(settings),
            respawn_failed_workers=True,
            # The longest a request can wait for its commit, then the time to commit what is queued.
            workers_kill_timeout=time_to_stop_s(settings),
            log_level=LogLevels.warning,
            log_dictconfig=GRANIAN_LOGGING,
        )
        log.info("serving http://%s:%d with %d workers, ClickHouse %s", host, port, workers, database)
        server.serve()


def connection_options(settings: Settings) -> dict[str, Any]:
    """How granian treats connections, in a worker and in this process alike."""
    return {
        "backlog": BACKLOG,
        "backpressure": MAX_CONNECTIONS,
        "http": HTTPModes.http1,
        "http1_settings": HTTP1Settings(max_buffer_size=settings.head_max_bytes),
        "websockets": False,
    }


def time_to_stop_s(settings: Settings) -> int:
    """The longest that a service takes to end once it is told to (docs/operations.md)."""
    return -(-(settings.commit_timeout_ms + settings.shutdown_timeout_ms) // 1000) + 1


async def serve_here(
    settings: Settings,
    store: Store,
    host: str,
    port: int,
    *,
    beside: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
    stop_within_s: float | None = None,
) -> None:
    """Serve from this process until SIGTERM or SIGINT, and `beside` it until its event is set.

    Raises StartupError when the store cannot be opened, and SystemExit when it has ended meanwhile.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    limit_s = stop_within_s or time_to_stop_s(settings)
    work = create_work(settings, store)
    await store.start()
    spare_garbage_collector()
    try:
        server = EmbeddedServer(
            create_app(settings, store, work),
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            **connection_options(settings),
            log_level=LogLevels.error,  # its warning is that this way of serving is experimental, at each start
            log_dictconfig=GRANIAN_LOGGING,
        )
        serving = asyncio.create_task(server.serve())
        log.info("serving http://%s:%d, %s", host, port, store.engine.name)
        tasks = [asyncio.create_task(beside(stop))] if beside else []
        ends = [asyncio.create_task(event.wait()) for event in (stop, store.ended)]
        await asyncio.wait([serving, *ends], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        work.stop()
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait(tasks, timeout=limit_s) if tasks else None
        # Not for the connections alone: an answer that is not read would hold it back.
        read = asyncio.create_task(work.requests.read())
        await asyncio.wait([serving, read], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        # Requests learn a moment later that their connections have ended; cancelled before, they would log an error.
        await asyncio.wait([asyncio.create_task(work.requests.ended())], timeout=READ_WITHIN_S)
    finally:
        await store.close(min(limit_s, settings.shutdown_timeout_ms / 1000))
    if store.ended.is_set():
        raise SystemExit(1)
