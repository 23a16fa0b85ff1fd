"""SIGTERM: the service answers who waits, commits what is queued, and exits with 0 within its documented time."""

import contextlib
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import clickhouse_connect

from app.cli.serve import _stop_within_s
from app.settings import Settings
from tests.service import ROOT, Service, drop, run
from tests.test_kill import COUNT_PAGES, Crowd


def test_the_time_to_stop_is_the_documented_one() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert "at most `PULSEHOUSE_COMMIT_TIMEOUT_MS + PULSEHOUSE_SHUTDOWN_TIMEOUT_MS` and 1 s more" in text
    (documented_s,) = re.findall(r"(\d+) s with the defaults", text)
    graces_s = re.findall(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert _stop_within_s(Settings()) == int(documented_s) < min(map(int, graces_s))
    assert _stop_within_s(Settings(commit_timeout_ms=2_500, shutdown_timeout_ms=1_200)) == 5


def stop_in_full_flight(*arguments: str, **settings: str) -> Crowd:
    run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", "site_a", **settings)
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
    read = subprocess.run([sys.executable, "-c", COUNT_PAGES, data_dir], capture_output=True, text=True, check=True)
    assert dict(json.loads(read.stdout)) == dict.fromkeys(crowd.acknowledged, 1)


def test_on_sigterm_several_workers_do_the_same(server_url: str, database: str) -> None:
    url = f"{server_url.rpartition('/')[0]}/{database}"
    try:
        crowd = stop_in_full_flight("--workers", "2", clickhouse_url=url)
        client = clickhouse_connect.get_client(dsn=url)
        stored = client.query("SELECT page, count() FROM signals GROUP BY page").result_rows
        client.close()
        assert dict(stored) == dict.fromkeys(crowd.acknowledged, 1)
    finally:
        drop(url)


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


def test_answers_that_nobody_reads_do_not_hold_a_stop_back(tmp_path: Path) -> None:
    with Service(data_dir=str(tmp_path / "data"), **PATIENT) as service, send_without_reading(service.port):
        code, log = service.stop()
    assert (code, "Traceback" in log) == (0, False), log


def test_answers_that_nobody_reads_do_not_hold_workers_back(server_url: str, database: str) -> None:
    url = f"{server_url.rpartition('/')[0]}/{database}"
    try:
        with (
            Service("--workers", "2", clickhouse_url=url, **PATIENT) as service,
            send_without_reading(service.port),
            send_without_reading(service.port),
        ):
            code, log = service.stop()
        assert (code, "Traceback" in log) == (0, False), log
    finally:
        drop(url)
