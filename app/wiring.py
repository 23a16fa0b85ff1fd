"""Puts the parts together: settings, engine, store, HTTP."""

import asyncio
import gc
import ipaddress
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from litestar import Litestar
from litestar.datastructures import State

from app.domain.clock import Clock, utc_now
from app.domain.errors import StartupError
from app.http import live, operations, realtime, sites, track
from app.http.allowance import Allowance
from app.http.errors import EXCEPTION_HANDLERS
from app.http.openapi import serve_document
from app.settings import Settings, read_settings
from app.store.answers import RealtimeAnswers
from app.store.commit import GroupCommit
from app.store.directory import Directory
from app.store.engine import EmbeddedEngine, ServerEngine
from app.store.intake import Intake
from app.store.salts import Salts
from app.store.statements import load_statements
from app.store.store import Store


def create_engine(settings: Settings) -> ServerEngine | EmbeddedEngine:
    """The engine that the settings name. Raises StartupError for a URL that is none."""
    if settings.clickhouse_url:
        return ServerEngine(
            settings.clickhouse_url,
            query_timeout_s=settings.query_timeout_ms / 1000,
            insert_timeout_s=settings.insert_timeout_ms / 1000,
        )
    return EmbeddedEngine(
        Path(settings.data_dir).expanduser(),
        query_timeout_s=settings.query_timeout_ms / 1000,
        max_memory_bytes=settings.embedded_max_memory_bytes,
    )


def create_store(settings: Settings, engine: ServerEngine | EmbeddedEngine, clock: Clock = utc_now) -> Store:
    """The store on an engine. Raises StartupError when an SQL file is not what it must be."""
    statements = load_statements()
    salts = Salts(engine, statements)
    signals = GroupCommit(
        engine,
        statements,
        timeout_s=settings.commit_timeout_ms / 1000,
        interval_s=settings.commit_interval_ms / 1000,
        insert_timeout_s=settings.insert_timeout_ms / 1000,
        insert_timeout_max_s=settings.insert_timeout_max_ms / 1000,
        max_group_signals=settings.commit_max_signals,
        max_group_bytes=settings.commit_max_bytes,
        max_queue_signals=settings.queue_max_signals,
        max_queue_bytes=settings.queue_max_bytes,
    )
    return Store(
        engine,
        statements,
        clock,
        directory=Directory(engine, statements, max_age_s=settings.directory_max_age_ms / 1000),
        salts=salts,
        signals=signals,
        intake=Intake(salts, clock),
        answers=RealtimeAnswers(
            engine,
            statements,
            clock,
            timeout_s=settings.query_timeout_ms / 1000,
            max_statements=settings.query_max_statements,
            max_sites=settings.query_max_sites,
        ),
        refresh_s=settings.directory_refresh_ms / 1000,
    )


def create_app(settings: Settings, store: Store) -> Any:
    """The ASGI application; it opens and closes the store with its lifespan."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await store.start()
        spare_garbage_collector()
        replacing = asyncio.create_task(replace_when_ended(settings, store))
        try:
            yield
        finally:
            replacing.cancel()
            await store.close(settings.shutdown_timeout_ms / 1000)

    handlers = [*realtime.handlers, *track.handlers, *sites.handlers, *live.handlers, *operations.handlers]
    allowance = Allowance(settings.track_max_requests_per_minute)
    app = Litestar(
        [*handlers, serve_document(handlers)],
        lifespan=[lifespan],
        state=State(
            {
                "store": store,
                "allowance": allowance,
                "body_max_bytes": settings.body_max_bytes,
                "batch_max_signals": settings.batch_max_signals,
            }
        ),
        exception_handlers={**EXCEPTION_HANDLERS},
        request_max_body_size=settings.body_max_bytes,
        openapi_config=None,  # the document is made from what the handlers say of themselves (app/http/openapi.py)
        logging_config=None,
    )
    trusted = trusted_proxies(settings)
    return wrap_asgi_with_proxy_headers(app, trusted) if trusted else app


async def replace_when_ended(settings: Settings, store: Store) -> None:
    """End this worker when its store has ended, so that another is started in its place."""
    await store.ended.wait()
    # Who waits is answered first, as on any SIGTERM; but not for longer than that may take.
    asyncio.get_running_loop().call_later(
        (settings.commit_timeout_ms + settings.shutdown_timeout_ms) / 1000, os._exit, 1
    )
    os.kill(os.getpid(), signal.SIGTERM)


def spare_garbage_collector() -> None:
    """Leave out of every collection what is there for good: modules, sites and keys; collect more rarely.

    Else each of many collections a second looks through all of it (docs/performance.md, What was tried).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def trusted_proxies(settings: Settings) -> list[str]:
    """The addresses and networks whose forwarding headers are believed. Raises StartupError for what is none."""
    names = [name.strip() for name in settings.trusted_proxies.split(",") if name.strip()]
    for name in names:
        try:
            ipaddress.ip_network(name)
        except ValueError as error:
            raise StartupError(
                f"PULSEHOUSE_TRUSTED_PROXIES: {error}; use addresses and networks like 10.0.0.0/8"
            ) from None
    return names


def create_worker() -> Any:
    """The application of one granian worker, by the settings in its environment."""
    settings = read_settings(os.environ)
    return create_app(settings, create_store(settings, create_engine(settings)))
