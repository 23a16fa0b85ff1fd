"""Puts the parts together: settings, engine, store, HTTP."""

import asyncio
import ipaddress
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from app.domain.clock import Clock, utc_now
from app.domain.errors import StartupError
from app.http.access_log import AccessLog
from app.http.answers import EXCEPTION_HANDLERS
from app.http.batch import batch_handlers
from app.http.bodies import Bodies
from app.http.caller import Callers
from app.http.health import health_handlers
from app.http.keys import key_handlers
from app.http.openapi import serve_document
from app.http.overview import overview_handlers
from app.http.public import public_handlers
from app.http.rate_limit import Allowance, RateLimit
from app.http.realtime import realtime_handlers
from app.http.reference import reference_handler
from app.http.requests import Requests
from app.http.site_changes import site_change_handlers
from app.http.sites import site_handlers
from app.http.static import STATIC_HANDLERS
from app.http.stream import Streams, stream_handlers
from app.http.track import track_handlers
from app.http.turns import Turns
from app.http.work import Work
from app.log import configure_logging
from app.parts import Parts, create_cluster, create_server_engine
from app.process import end_with_parent, spare_garbage_collector
from app.settings import Settings, read_settings
from app.store.embedded import EmbeddedEngine
from app.store.engine import Engine
from app.store.statements import load_statements
from app.store.store import Store

log = logging.getLogger(__name__)


def read_settings_and_log(role: str, environment: Mapping[str, str]) -> Settings:
    """Return the settings, and have this process log by them. Raises StartupError for one that is wrong.

    What is said of a wrong setting is said in the format asked for already.
    """
    configure_logging(role, as_json=environment.get("PULSEHOUSE_LOG_FORMAT") == "json")
    settings = read_settings(environment)
    configure_logging(role, as_json=settings.log_format == "json", level=settings.log_level)
    return settings


def create_engine(settings: Settings) -> Engine:
    """The engine that the settings name. Raises StartupError for a URL that is none."""
    if "," in settings.clickhouse_url:
        raise StartupError(
            "PULSEHOUSE_CLICKHOUSE_URL: several nodes are of a cluster; name it in PULSEHOUSE_CLICKHOUSE_CLUSTER"
        )
    if settings.clickhouse_url:
        return create_server_engine(settings, settings.clickhouse_url)
    return EmbeddedEngine(
        Path(settings.data_dir).expanduser(),
        query_timeout_s=settings.query_timeout_ms / 1000,
        max_memory_bytes=settings.embedded_max_memory_bytes,
        backup_folder=backup_folder(settings),
    )


def backup_folder(settings: Settings) -> Path:
    """Where the embedded engine has its backups."""
    return Path(settings.backup_dir or Path(settings.data_dir) / "backups").expanduser().absolute()


def create_store(settings: Settings, *, engine: Engine | None = None, clock: Clock = utc_now) -> Store:
    """The store on the engine or the cluster that the settings name, or on another engine. Raises StartupError for
    settings or SQL files that are not what they must be."""
    statements = load_statements()
    parts = Parts(settings, statements, clock)
    if settings.clickhouse_cluster and engine is None:
        return parts.on_cluster(create_cluster(settings, statements))
    return parts.on_engine(engine or create_engine(settings))


def create_work(settings: Settings, store: Store) -> Work:
    """What a worker will have under way, within its limits."""
    return Work(
        Bodies(
            max_bytes=settings.body_max_bytes,
            all_max_bytes=settings.bodies_max_bytes,
            timeout_s=settings.body_timeout_ms / 1000,
        ),
        Streams(
            store,
            interval_s=settings.stream_interval_ms / 1000,
            lifetime_s=settings.stream_lifetime_ms / 1000,
            max_sites=settings.stream_max_sites,
        ),
        Requests(settings.too_many_delay_ms / 1000),
    )


def create_handlers(settings: Settings, store: Store, work: Work) -> list[HTTPRouteHandler]:
    """Every endpoint."""
    turns = Turns(settings.key_max_concurrent_polls, settings.query_timeout_ms / 1000)
    callers = Callers(store, Allowance(settings.key_max_requests_per_minute), turns)
    rate_limit = RateLimit(settings.track_max_signals_per_minute)
    handlers = [
        *realtime_handlers(store, callers),
        *batch_handlers(store, callers, work.bodies),
        *overview_handlers(store, callers),
        *public_handlers(store, callers),
        *stream_handlers(callers, work.streams),
        *track_handlers(store, callers, work.bodies, rate_limit, batch_max_signals=settings.batch_max_signals),
        *site_change_handlers(store, callers, work.bodies),
        *site_handlers(store, callers),
        *key_handlers(store, callers, work.bodies),
        *STATIC_HANDLERS,
        *health_handlers(store),
    ]
    handlers = [*handlers, reference_handler(handlers)]
    return [*handlers, serve_document(handlers)]


def create_app(settings: Settings, store: Store, work: Work | None = None) -> Any:
    """The ASGI application; it opens and closes the store with its lifespan."""
    work = work or create_work(settings, store)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        stop_at_sigterm(work, stopping)
        await store.start()
        spare_garbage_collector()
        tasks = [
            asyncio.create_task(replace_when_ended(settings, store)),
            asyncio.create_task(leave_when_done(settings, store, work, stopping)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await store.close(settings.shutdown_timeout_ms / 1000)

    app = Litestar(
        create_handlers(settings, store, work),
        lifespan=[lifespan],
        exception_handlers={**EXCEPTION_HANDLERS},
        openapi_config=None,  # the document is made from what the handlers say of themselves (app/http/openapi.py)
        logging_config=None,
    )
    if settings.access_log != "off":
        app.asgi_handler = AccessLog(app.asgi_handler, whole=settings.access_log == "requests")
    counted = work.requests.counted(app)
    trusted = trusted_proxies(settings)
    return wrap_asgi_with_proxy_headers(counted, trusted) if trusted else counted


async def replace_when_ended(settings: Settings, store: Store) -> None:
    """End this worker when its store has ended, so that another is started in its place."""
    await store.ended.wait()
    # Who waits is answered first, as on any SIGTERM; but not for longer than that may take.
    asyncio.get_running_loop().call_later(
        (settings.commit_timeout_ms + settings.shutdown_timeout_ms) / 1000, os._exit, 1
    )
    os.kill(os.getpid(), signal.SIGTERM)


async def leave_when_done(settings: Settings, store: Store, work: Work, stopping: asyncio.Event) -> None:
    """End a worker that stops once nothing is left to do; granian would wait for connections that are not read."""
    await stopping.wait()
    await work.requests.read()
    await store.close(settings.shutdown_timeout_ms / 1000)
    os._exit(0)


def stop_at_sigterm(work: Work, stopping: asyncio.Event) -> None:
    """Have a worker of granian wait for no body and no stream once it is told to stop: it ends its lifespan after the
    last request.

    granian has set its own handlers before, the same one for both signals.
    """

    def stop() -> None:
        work.stop()
        stopping.set()
        signal.raise_signal(signal.SIGINT)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)


def trusted_proxies(settings: Settings) -> list[str]:
    """The addresses and networks whose forwarding headers are believed. Raises StartupError for what is none."""
    names = [name.strip() for name in settings.trusted_proxies.split(",") if name.strip()]
    trusted = []
    for name in names:
        try:
            network = ipaddress.ip_network(name)
        except ValueError as error:
            raise StartupError(
                f"PULSEHOUSE_TRUSTED_PROXIES: {error}; use addresses and networks like 10.0.0.0/8"
            ) from None
        trusted.append(str(network))
        if isinstance(network, ipaddress.IPv4Network):
            # What an IPv4 peer is called on a socket that listens on IPv6 too, as with --host ::.
            trusted.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return trusted


def create_worker() -> Any:
    """The application of one granian worker, by the settings in its environment."""
    settings = read_settings_and_log("worker", os.environ)
    end_with_parent()
    log.info("worker %d starts", os.getpid())
    return create_app(settings, create_store(settings))
