"""The alerts for Prometheus and the unit of systemd: well-formed, about metrics that there are, and documented."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.serve import time_to_stop_s
from app.settings import Settings
from tests.conftest import Api

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "deploy/prometheus"
RULES = (PROMETHEUS / "pulsehouse.rules.yml").read_text(encoding="utf-8")
TESTS = (PROMETHEUS / "pulsehouse.rules.test.yml").read_text(encoding="utf-8")
UNIT = ROOT / "deploy/systemd/pulsehouse.service"
ALERTS = re.findall(r"^      - alert: (\w+)$", RULES, re.MULTILINE)


def command(name: str) -> str:
    """Where a command is; the test is skipped where it is not."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not on PATH")
    return path


@pytest.mark.deep
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "pulsehouse.rules.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "pulsehouse.rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong_with_the_alerts(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([command("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_alerts_are_about_metrics_and_routes_that_there_are(api: Api) -> None:
    await api.realtime()
    await api.track({"siteId": "site_a", "path": "/"})
    shown = (await api.get("/metrics")).text
    names = set(re.findall(r"\bpulsehouse_\w+", re.sub(r"^# .*$", "", shown, flags=re.MULTILINE)))
    used = set(re.findall(r"\bpulsehouse_\w+", "\n".join(re.findall(r"^ {8,}.*$", RULES, re.MULTILINE))))
    assert used - names == set()
    assert len(used) >= 8
    for route in re.findall(r'route!?="(\S+?)"', RULES):
        assert (await api.get(route)).status_code != 404, route
    for outcome in re.findall(r'outcome="(\w+)"', RULES):
        assert f'"{outcome}"' in (ROOT / "app/store/inserts.py").read_text(encoding="utf-8")


async def test_the_alerts_are_about_metrics_of_clickhouse_that_there_are(api: Api) -> None:
    if await api.select("SELECT count() FROM system.tables WHERE name = 'asynchronous_metrics'") == "0":
        pytest.skip("this ClickHouse has no system.asynchronous_metrics")
    names = (await api.select("SELECT metric FROM system.asynchronous_metrics")).split()
    assert set(re.findall(r"\bClickHouseAsyncMetrics_(\w+)", RULES)) <= set(names)


def test_each_alert_is_tested_and_documented_with_what_to_do() -> None:
    documented = (ROOT / "docs/diagnosing.md").read_text(encoding="utf-8")
    assert len(ALERTS) >= 8
    assert (
        re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", documented.partition("## Alerts")[2], re.MULTILINE)[
            : len(ALERTS)
        ]
        == ALERTS
    )
    assert set(ALERTS) == set(re.findall(r"alertname: (\w+)", TESTS))
    for alert in ALERTS:
        assert re.search(rf"alertname: {alert}\n        exp_alerts:\n", TESTS), f"{alert} is never raised in a test"


def test_the_unit_gives_a_stop_its_time_and_runs_what_make_install_installs() -> None:
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))
    assert int(unit["TimeoutStopSec"]) > time_to_stop_s(Settings())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (installed,) = re.findall(r"^TO := (\S+)$", makefile, re.MULTILINE)
    assert unit["ExecStart"].startswith(f"{installed}/bin/pulsehouse serve ")


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/pulsehouse/bin/pulsehouse", sys.executable)
    (tmp_path / "pulsehouse.service").write_text(text, encoding="utf-8")
    verify = [command("systemd-analyze"), "verify", "--man=no", str(tmp_path / "pulsehouse.service")]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
