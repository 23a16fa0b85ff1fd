"""The processes of a service: that none is left behind, and what each does to itself."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.cli.serve import serve_here
from app.settings import Settings
from app.wiring import create_store
from tests.kit.service import COMMAND_WITHIN_S, ROOT, Service


@pytest.mark.deep
def test_workers_end_with_a_killed_parent_and_the_next_start_has_the_port(server_database: str) -> None:
    with Service("--workers", "2", clickhouse_url=server_database) as service:
        left = service.worker_pids()
        assert len(left) == 2
        service.process.kill()
        try:
            service.process.communicate(timeout=COMMAND_WITHIN_S)  # returns when nobody has its standard error any more
            left = set()
        finally:
            for worker in left:
                os.kill(worker, signal.SIGKILL)
    with Service(clickhouse_url=server_database, port=str(service.port)) as again:
        assert again.get("/ready").status_code == 200


WORKER_WHOSE_PARENT_IS_GONE = """
import multiprocessing, os, select
from app.process import end_with_parent

def work(parent):
    select.select([parent], [], [])  # it has ended, and what it started has another parent
    end_with_parent()
    print("serves")

multiprocessing.get_context("fork").Process(target=work, args=(os.pidfd_open(os.getpid()),)).start()
os._exit(0)
"""


def test_a_worker_whose_parent_ended_before_it_looked_ends_too() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WORKER_WHOSE_PARENT_IS_GONE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )
    assert (result.stdout, result.stderr) == ("", "the process that started this worker has ended\n")


@pytest.fixture
def collector_as_python_sets_it() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700)
    yield
    gc.freeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("collector_as_python_sets_it")
def test_a_service_in_one_process_spares_its_garbage_collector_too(unused_port: int) -> None:
    seen: list[tuple[bool, int]] = []

    async def look(stop: asyncio.Event) -> None:
        seen.append((gc.get_freeze_count() > 0, gc.get_threshold()[0]))
        stop.set()

    async def serve() -> None:
        # It starts without waiting for ClickHouse, which is all that this needs.
        settings = Settings(clickhouse_url=f"http://127.0.0.1:{unused_port}")
        store = create_store(settings)
        await serve_here(settings, store, "127.0.0.1", unused_port, beside=look)

    asyncio.run(serve())
    assert seen == [(True, 10_000)]
