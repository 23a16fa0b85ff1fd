"""A worker that has ended, or was killed: it is replaced, and what it held is counted no more."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.conftest import BROWSER
from tests.proxy import proxy
from tests.service import Service, drop, run

MANY = 1_000


class BreakingService(Service):
    """The same with a writer that ends with a signal of page /break (tests/breaking.py)."""

    COMMAND = (sys.executable, "-m", "tests.breaking")


def until(holds: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def workers(service: Service) -> set[int]:
    """The process ids of the workers."""
    parent = service.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return {pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_process_whose_writer_has_ended_ends_with_an_error(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path / "data"), "commit_timeout_ms": "500"}
    run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", "site_a", **settings)
    with BreakingService(**settings) as service:
        assert service.track().status_code == 200
        assert service.track(path="/break").status_code == 503
        _, log = service.process.communicate(timeout=30)
    assert (service.process.returncode, "Traceback" in log) == (1, False), log
    assert "CRITICAL the task 'group commit' has ended" in log


def test_a_worker_whose_writer_has_ended_is_replaced(server_url: str, database: str) -> None:
    url = f"{server_url.rpartition('/')[0]}/{database}"
    settings = {"clickhouse_url": url, "commit_timeout_ms": "500"}
    run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", "site_a", **settings)
    try:
        with BreakingService("--workers", "2", **settings) as service:
            before = workers(service)
            assert service.track(path="/break").status_code == 503
            until(lambda: len(workers(service)) == 2 and workers(service) != before)
            until(lambda: all(service.get("/ready").status_code == 200 for _ in range(10)))
            assert {service.track().status_code for _ in range(10)} == {200}
            assert len(workers(service) & before) == 1
            assert service.stop()[0] == 0
    finally:
        drop(url)


def test_the_signals_queued_are_those_of_all_workers_that_live(server_url: str, database: str) -> None:
    def queued(service: Service) -> set[float]:
        """What any worker says, asked on fresh connections."""
        shown = [service.get("/metrics").text for _ in range(8)]
        return {float(*re.findall(r"^pulsehouse_signals_queued (\S+)$", text, re.MULTILINE)) for text in shown}

    def track(service: Service) -> httpx.Response:
        headers = {"User-Agent": BROWSER}
        return httpx.post(f"{service.url}/api/track", json={"siteId": "site_a"}, headers=headers, timeout=60)

    with proxy(server_url) as between, ThreadPoolExecutor(MANY) as pool:
        settings = {"clickhouse_url": between.url(database), "commit_timeout_ms": "60000"}
        settings |= {"insert_timeout_ms": "60000"}
        sent: list[Future[httpx.Response]] = []
        run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", "site_a", **settings)
        try:
            with Service("--workers", "2", **settings) as service:
                between.pass_on.clear()
                try:
                    # Connections land on any worker that listens already; each has one INSERT at a time.
                    until(lambda: sent.append(pool.submit(track, service)) or between.waiting == 2)
                    until(lambda: queued(service) == {len(sent)})
                    os.kill(min(workers(service)), signal.SIGKILL)
                    until(lambda: any(one.done() for one in sent))
                    until(lambda: queued(service) == {sum(not one.done() for one in sent)})
                finally:
                    between.pass_on.set()
                left = [one.result() for one in sent if not one.exception()]
                assert 0 < len(left) < len(sent)
                assert {response.status_code for response in left} == {200}
                until(lambda: queued(service) == {0})
        finally:
            drop(f"{server_url.rpartition('/')[0]}/{database}")
