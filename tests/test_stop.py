"""SIGTERM: the service answers who waits, commits what is queued, and exits with 0 within its documented time."""

import contextlib
import re
import socket
from pathlib import Path

import pytest

from app.cli.serve import time_to_stop_s
from app.settings import Settings
from tests.kit.crowd import Crowd
from tests.kit.databases import signals_per_page
from tests.kit.service import ROOT, Service, make, site


def test_the_time_to_stop_is_the_documented_one() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert "at most `PULSEHOUSE_COMMIT_TIMEOUT_MS + PULSEHOUSE_SHUTDOWN_TIMEOUT_MS` and 1 s more" in text
    (documented_s,) = re.findall(r"(\d+) s with the defaults", text)
    graces_s = re.findall(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert time_to_stop_s(Settings()) == int(documented_s) < min(map(int, graces_s))
    assert time_to_stop_s(Settings(commit_timeout_ms=2_500, shutdown_timeout_ms=1_200)) == 5


def stop_in_full_flight(*arguments: str, **settings: str) -> Crowd:
    make(site(), **settings)
    with Service(*arguments, **settings) as service:
        crowd = Crowd(service, "site_a")
        assert crowd.enough.wait(30)
        code, log = service.stop()  # fails when it takes longer than documented
        crowd.wait()
    assert (code, "Traceback" in log) == (0, False), log
    return crowd


def test_on_sigterm_all_that_is_stored_was_acknowledged_and_the_reverse(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    crowd = stop_in_full_flight(data_dir=data_dir)
    assert signals_per_page(data_dir) == dict.fromkeys(crowd.acknowledged, 1)


@pytest.mark.deep
def test_on_sigterm_several_workers_do_the_same(server_database: str) -> None:
    crowd = stop_in_full_flight("--workers", "2", clickhouse_url=server_database)
    assert signals_per_page(server_database) == dict.fromkeys(crowd.acknowledged, 1)


def send_without_reading(port: int) -> socket.socket:
    """A connection on which so much was asked, and nothing read, that no more can be sent."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
    return connection


# So patient that waiting for the connections would take minutes.
PATIENT = {"commit_timeout_ms": "100000", "shutdown_timeout_ms": "100000"}


@pytest.mark.deep
def test_answers_that_nobody_reads_do_not_hold_a_stop_back(tmp_path: Path) -> None:
    with Service(data_dir=str(tmp_path / "data"), **PATIENT) as service, send_without_reading(service.port):
        code, log = service.stop()
    assert (code, "Traceback" in log) == (0, False), log


@pytest.mark.deep
def test_answers_that_nobody_reads_do_not_hold_workers_back(server_database: str) -> None:
    with (
        Service("--workers", "2", clickhouse_url=server_database, **PATIENT) as service,
        send_without_reading(service.port),
        send_without_reading(service.port),
    ):
        code, log = service.stop()
    assert (code, "Traceback" in log) == (0, False), log
