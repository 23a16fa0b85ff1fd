"""A worker that has ended, or was killed: it is replaced, and what it held is counted no more."""

import os
import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.kit.proxy import proxy
from tests.kit.service import COMMAND_WITHIN_S, BreakingService, Service, make, site
from tests.kit.waiting import wait_until

MANY = 1_000


@pytest.mark.deep
def test_a_process_whose_writer_has_ended_ends_with_an_error(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path / "data"), "commit_timeout_ms": "3000"}
    make(site(), **settings)
    with BreakingService(**settings) as service:
        assert service.track().status_code == 200
        assert service.track(path="/break").status_code == 503
        _, log = service.process.communicate(timeout=COMMAND_WITHIN_S)
    assert (service.process.returncode, "Traceback" in log) == (1, False), log
    assert re.search(r"CRITICAL \S+ the task 'group commit' has ended", log), log


@pytest.mark.deep
def test_a_worker_whose_writer_has_ended_is_replaced(server_database: str) -> None:
    settings = {"clickhouse_url": server_database, "commit_timeout_ms": "3000"}
    make(site(), **settings)
    with BreakingService("--workers", "2", **settings) as service:
        before = service.worker_pids()
        assert service.track(path="/break").status_code == 503
        wait_until(lambda: len(service.worker_pids()) == 2 and service.worker_pids() != before)
        wait_until(lambda: all(service.get("/ready").status_code == 200 for _ in range(10)))
        assert {service.track().status_code for _ in range(10)} == {200}
        assert len(service.worker_pids() & before) == 1
        assert service.stop()[0] == 0


@pytest.mark.deep
def test_the_signals_queued_are_those_of_all_workers_that_live(
    server_url: str, server_database: str, database: str
) -> None:
    def queued(service: Service) -> set[float]:
        """What any worker says, asked on fresh connections."""
        shown = [service.get("/metrics").text for _ in range(8)]
        return {float(*re.findall(r"^pulsehouse_signals_queued (\S+)$", text, re.MULTILINE)) for text in shown}

    make(site(), clickhouse_url=server_database)
    with proxy(server_url) as between, ThreadPoolExecutor(MANY) as pool:
        settings = {"clickhouse_url": between.url(database), "commit_timeout_ms": "60000"}
        settings |= {"insert_timeout_ms": "60000"}
        sent: list[Future[httpx.Response]] = []

        def both_insert() -> bool:
            sent.append(pool.submit(service.track))
            return between.waiting == 2

        with Service("--workers", "2", **settings) as service:
            between.pass_on.clear()
            try:
                # Connections land on any worker that listens already; each has one INSERT at a time.
                wait_until(both_insert)
                wait_until(lambda: queued(service) == {len(sent)})
                os.kill(min(service.worker_pids()), signal.SIGKILL)
                wait_until(lambda: any(one.done() for one in sent))
                wait_until(lambda: queued(service) == {sum(not one.done() for one in sent)})
            finally:
                between.pass_on.set()
            left = [one.result() for one in sent if not one.exception()]
            assert 0 < len(left) < len(sent)
            assert {response.status_code for response in left} == {200}
            wait_until(lambda: queued(service) == {0})
