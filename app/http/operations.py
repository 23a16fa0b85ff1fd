"""For the operator: is the process alive, can it answer, and what has it counted."""

import contextlib
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

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
    store.require_running()
    store.directory.require_fresh()
    return Response(msgspec.json.encode(Readiness("ready")), media_type="application/json", headers=EVERY_ANSWER)


@get(
    "/metrics",
    opt=described(
        "What it has counted",
        {200: answer("Counters", {"type": "string"}, NO_CACHE, CONTENT_TYPE_LATEST), **refusals()},
    ),
)
async def get_metrics() -> Response[bytes]:
    """Counters in the text format of Prometheus, over all workers."""
    registry = REGISTRY
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # prometheus_client's own variable; set by `pulsehouse serve`
    if folder:
        forget_dead_workers(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers=NO_CACHE)


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


handlers = [get_health, get_ready, get_metrics]
