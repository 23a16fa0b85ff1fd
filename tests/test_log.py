"""What a service logs: one format for all its processes from the first line on, and an access log for who wants one."""

import json
import logging
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from app.log import JsonLines, TextLines
from app.settings import Settings
from tests.conftest import Api, MakeApi
from tests.kit.service import TIME, Service, run, run_here
from tests.kit.user_agents import BROWSER

FIELDS = ["time", "level", "process", "pid", "logger", "message"]


def read_line(line: str) -> tuple[str, str, str]:
    """Level, process and message of a line of JSON."""
    event = json.loads(line)
    assert list(event) == FIELDS
    assert re.fullmatch(TIME, event["time"])
    return event["level"], event["process"], event["message"]


@pytest.mark.deep
def test_workers_and_their_parent_log_in_one_format_also_what_granian_says(server_database: str) -> None:
    lines: list[tuple[str, str, str]] = []
    started: list[int] = []

    def read_until_started(workers: int) -> None:
        assert service.process.stderr
        while len(started) < workers:
            lines.append(read_line(service.process.stderr.readline().rstrip()))
            started.extend(map(int, re.findall(r"^worker (\d+) starts$", lines[-1][2])))

    with Service("--workers", "2", clickhouse_url=server_database, log_format="json") as service:
        read_until_started(2)
        os.kill(started[0], signal.SIGKILL)
        read_until_started(3)
        code, rest = service.stop()
    assert code == 0
    lines += [read_line(line) for line in rest.splitlines()]
    assert lines[0] == ("INFO", "main", "applied migration 0001_sites")
    unexpected = [line[:2] for line in lines if line[2].startswith("Unexpected exit from worker-")]
    assert unexpected == [("ERROR", "main")]
    assert len(set(started)) == 3


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"log_levl": "info"}, "PULSEHOUSE_LOG_LEVL is not a setting; did you mean PULSEHOUSE_LOG_LEVEL?"),
        ({"trusted_proxies": "proxy"}, "PULSEHOUSE_TRUSTED_PROXIES: 'proxy' does not appear to be"),
        ({"clickhouse_url": "nowhere"}, "PULSEHOUSE_CLICKHOUSE_URL: use http://user:password@host:8123/database"),
    ],
)
def test_a_start_that_is_refused_says_so_in_the_format_of_the_log(settings: dict[str, str], message: str) -> None:
    result = run_here("serve", log_format="json", **settings)
    assert result.returncode == 1
    level, process, said = read_line(result.stderr)
    assert (level, process) == ("CRITICAL", "main")
    assert said.startswith(message)


def test_a_level_is_the_least_that_is_logged(tmp_path: Path) -> None:
    with Service(data_dir=str(tmp_path / "data"), log_level="warning") as service:
        assert service.stop() == (0, "")


@pytest.mark.any_engine
def test_what_a_command_has_done_is_not_in_its_log(tmp_path: Path) -> None:
    result = run("site", "list", data_dir=str(tmp_path / "data"))
    assert (result.returncode, result.stderr) == (0, "")


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("app.x", logging.WARNING, __file__, 1, message, (), exc_info)


@pytest.mark.any_engine
def test_a_message_cannot_make_a_line_of_its_own_and_a_traceback_is_kept() -> None:
    forged = "a\n2026-11-23T14:32:20.123Z INFO main[1] all is well\x1b[2J\u2028"
    assert (
        TextLines("main")
        .format(record(forged))
        .endswith("a\\n2026-11-23T14:32:20.123Z INFO main[1] all is well\\x1b[2J\\u2028")
    )
    assert json.loads(JsonLines("main").format(record(forged)))["message"] == forged
    assert "\n" not in JsonLines("main").format(record("x", ValueError("why")))
    assert json.loads(JsonLines("main").format(record("x", ValueError("why"))))["exception"] == "ValueError: why"
    assert TextLines("main").format(record("x", ValueError("why"))).endswith(" x\nValueError: why")


async def ask_for_everything(api: Api) -> None:
    await api.get("/api/realtime?siteId=site_a", api.read)
    await api.get("/api/realtime?siteId=secret_site", "ph_live_secret")
    await api.track({"siteId": "site_a", "path": "/secret"})
    await api.get("/secret%0Apath?secret=%0A")
    await api.client.request("SECRET", "/api/realtime")


@pytest.fixture
async def logged(make_api: MakeApi, request: pytest.FixtureRequest) -> Api:
    """A service with an access log, and its site_a of example.com."""
    api = await make_api(Settings(access_log=request.param))
    await api.store.tenants.add_site("site_a", "acme", ["example.com"], "example.com")
    await api.store.refresh()
    _, api.read = await api.add_key("read")
    return api


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(event)["fields"] for event in caplog.records if event.name == "pulsehouse.access"]


def said(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the service logged: the client of these tests logs its requests, too."""
    return [event for event in caplog.records if event.name.startswith(("app.", "pulsehouse."))]


@pytest.mark.parametrize("logged", ["routes"], indirect=True)
async def test_the_access_log_has_route_status_duration_bytes_and_key_and_nothing_that_tells_who_asked_for_what(
    logged: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await logged.get("/api/realtime?siteId=site_a", logged.read)
    await ask_for_everything(logged)
    (key,) = await logged.store.tenants.list_keys(None)
    first, *rest = events(caplog)
    assert first.pop("duration_ms") > 0
    assert first == {
        "method": "GET",
        "route": "/api/realtime",
        "status": 200,
        "bytes": len(answer.content),
        "key": key.id,
    }
    assert [(event["method"], event["route"], event["status"], event["key"]) for event in rest] == [
        ("GET", "/api/realtime", 200, key.id),
        ("GET", "/api/realtime", 401, None),
        ("POST", "/api/track", 200, None),
        ("GET", "other", 404, None),
        ("other", "other", 405, None),
    ]
    text = "\n".join([*map(TextLines("worker").format, said(caplog)), *map(JsonLines("worker").format, said(caplog))])
    assert re.search(r" GET /api/realtime 200 [\d.]+ ms \d+ bytes key_\w+$", text, re.MULTILINE)
    for secret in ("secret", "SECRET", "ph_live_", "203.0.113.7", BROWSER):
        assert secret not in text


@pytest.mark.parametrize("logged", ["requests"], indirect=True)
async def test_address_and_target_are_logged_when_that_is_asked_for_and_a_token_never(
    logged: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await ask_for_everything(logged)
    assert [(event["address"], event["target"]) for event in events(caplog)] == [
        ("203.0.113.7", "/api/realtime?siteId=site_a"),
        ("203.0.113.7", "/api/realtime?siteId=secret_site"),
        ("203.0.113.7", "/api/track"),
        ("203.0.113.7", "/secret\npath?secret=%0A"),
        ("203.0.113.7", "/api/realtime"),
    ]
    lines = list(map(TextLines("worker").format, said(caplog)))
    assert lines[3].endswith(" bytes - 203.0.113.7 /secret\\npath?secret=%0A")
    assert "ph_live_" not in "".join(lines)


async def test_without_being_asked_for_there_is_no_access_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ask_for_everything(api)
    assert events(caplog) == []
