"""For the operator: is the process alive, can it answer, and what has it counted."""

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from app.http.answers import Answer, answer_json
from app.http.caller import Request
from app.http.openapi import answer, described, refusals
from app.store.store import Store

NO_CACHE = {"Cache-Control": "no-cache"}


class Health(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["alive"]


class Readiness(msgspec.Struct, frozen=True):
    """Polls can be answered."""

    status: Literal["ready"]


HEALTH = described("Is the process alive?", {200: answer("It is", Health), **refusals()})
READY = described("Can it answer?", {200: answer("It can", Readiness), **refusals(503)})
METRICS = described(
    "What it has counted", {200: answer("Counters", {"type": "string"}, NO_CACHE, CONTENT_TYPE_LATEST), **refusals()}
)


def health_handlers(store: Store) -> list[HTTPRouteHandler]:
    @get("/health", opt=HEALTH)
    async def get_health() -> Response[bytes]:
        """Answer 200 as long as the process runs; asks nobody else."""
        return answer_json(msgspec.json.encode(Health("alive")))

    @get("/ready", opt=READY)
    async def get_ready() -> Response[bytes]:
        """Answer 200 while polls can be answered, else 503."""
        store.require_running()
        store.tenants.require_fresh()
        return answer_json(msgspec.json.encode(Readiness("ready")))

    @get("/metrics", opt=METRICS)
    async def get_metrics(request: Request) -> Response[bytes]:
        """Counters in the text format of Prometheus, over all workers."""
        if request.scope["raw_path"] != b"/metrics":
            # Another spelling of the path: a proxy that keeps the world off this one lets it pass.
            raise NotFoundException
        registry = REGISTRY
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # prometheus_client's own variable, set by `serve`
        if folder:
            forget_dead_workers(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Answer(generate_latest(registry), CONTENT_TYPE_LATEST, NO_CACHE)

    return [get_health, get_ready, get_metrics]


def forget_dead_workers(folder: Path) -> None:
    """Drop the gauges of workers that were killed: what they held is gone. What they counted stays counted."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with contextlib.suppress(FileNotFoundError):  # another worker does the same
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # somebody else's process: not ours, but alive
