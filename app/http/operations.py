"""For the operator: is the process alive, can it answer, and what has it counted."""

import os
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.domain import metrics
from app.http.errors import EVERY_ANSWER
from app.http.openapi import answer, described, refusals
from app.store.store import Store

NO_CACHE = {"Cache-Control": "no-cache"}


class Health(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["alive"]


class Readiness(msgspec.Struct, frozen=True):
    """Polls can be answered."""

    status: Literal["ready"]


@get("/health", opt=described("Is the process alive?", {200: answer("It is", Health), **refusals()}))
async def get_health() -> Response[bytes]:
    """Answer 200 as long as the process runs; asks nobody else."""
    return Response(msgspec.json.encode(Health("alive")), media_type="application/json", headers=EVERY_ANSWER)


@get("/ready", opt=described("Can it answer?", {200: answer("It can", Readiness), **refusals(503)}))
async def get_ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer 200 while polls can be answered, else 503."""
    store: Store = request.app.state.store
    store.directory.require_fresh()
    return Response(msgspec.json.encode(Readiness("ready")), media_type="application/json", headers=EVERY_ANSWER)


@get(
    "/metrics",
    opt=described(
        "What it has counted",
        {200: answer("Counters", {"type": "string"}, NO_CACHE, CONTENT_TYPE_LATEST), **refusals()},
    ),
)
async def get_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counters in the text format of Prometheus, over all workers."""
    if request.scope["raw_path"] != b"/metrics":
        raise NotFoundException  # another spelling of the path: a proxy that keeps the world off this one lets it pass
    store: Store = request.app.state.store
    metrics.signals_queued.set(store.signals.queued)
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # prometheus_client's own variable; set by `pulsehouse serve`
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers=NO_CACHE)


handlers = [get_health, get_ready, get_metrics]
