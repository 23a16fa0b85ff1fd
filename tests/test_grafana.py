"""The dashboards for Grafana: each query runs and says what the API says, and nothing is named that there is not."""

import itertools
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from app.store.statements import Statement
from tests.conftest import Api

ROOT = Path(__file__).parent.parent
GRAFANA = ROOT / "deploy/grafana"
DASHBOARDS = {
    path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
]
BUILT_IN = {"__from", "__to", "__rate_interval"}


def variables_of(text: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", text))


async def ask(api: Api, sql: str) -> list[dict[str, Any]]:
    """What Grafana gets for a query of site_a, of the three hours up to now."""
    values = {"site:sqlstring": "'site_a'", "zone:sqlstring": "'Europe/Berlin'"}
    now = api.clock()
    values |= {"__from": str(int(now.timestamp() * 1000) - 10_800_000), "__to": str(int(now.timestamp() * 1000))}
    for name, value in values.items():
        sql = sql.replace(f"${{{name}}}", value)
    sql = sql.replace("now('UTC')", f"toDateTime('{now:%F %T}', 'UTC')")
    assert "$" not in sql
    answer = await api.store.engine.fetch(Statement("grafana", sql + " FORMAT JSONEachRow"))
    return [msgspec.json.decode(line) for line in answer.splitlines()]


async def test_the_queries_of_the_live_dashboard_say_what_the_api_says(api: Api) -> None:
    now = api.clock()
    for minutes_ago, visitor, path, country, referrer in [
        (70, "old", "/", "DE", ""),
        (4, "ann", "/", "DE", "news.example"),
        (2, "bob", "/docs", None, ""),
        (1, "ann", "/docs", "DE", ""),
    ]:
        api.clock.now = now - timedelta(minutes=minutes_ago)
        signal = {"siteId": "site_a", "path": path, "referrer": referrer, "visitorId": visitor, "country": country}
        assert (await api.track(signal, token=api.write)).status_code == 200
    api.clock.now = now
    live = DASHBOARDS["live"]
    answers = {panel["title"]: await ask(api, panel["targets"][0]["rawSql"]) for panel in live["panels"]}
    number, hours = answers.pop("Live number"), answers.pop("Visitors and pageviews by hour")
    assert len(number) == 181
    assert number[-1] == {"time": f"{now:%F %H:%M}:00", "active_visitors": 2}
    assert sum(row["pageviews"] for row in hours) == 4
    assert len(hours) == 4
    minute_ago = f"{now - timedelta(minutes=1):%F %H:%M}:00"
    assert answers == {
        "Active visitors": [{"visitors": 2}],
        "Pageviews in 5 minutes": [{"pageviews": 3}],
        "Peak in the time shown": [{"visitors": 2}],
        "Bounce rate in the time shown": [{"bounce_rate": 2 / 3}],
        "Pages": [{"page": "/docs", "visitors": 2}],
        "Sources": [{"source": "news.example", "visitors": 1}, {"source": "none", "visitors": 1}],
        "Countries": [{"country": "DE", "visitors": 1}, {"country": "unknown", "visitors": 1}],
        "All sites now": [
            {"name": "example.com", "site_id": "site_a", "visitors": 2, "pageviews": 3, "last_signal": minute_ago},
            {"name": "example.org", "site_id": "site_b", "visitors": 0, "pageviews": 0, "last_signal": None},
        ],
    }
    (site, _) = live["templating"]["list"]
    assert await ask(api, site["query"]["rawSql"]) == [
        {"site_id": "site_a", "name": "example.com"},
        {"site_id": "site_b", "name": "example.org"},
    ]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_a_source_that_is_provisioned_for_what_there_is(panel: dict[str, Any]) -> None:
    provisioned = (GRAFANA / "provisioning/datasources/pulsehouse.yaml").read_text(encoding="utf-8")
    names = {f"{metric.name}{suffix}" for metric in REGISTRY.collect() for suffix in ("", "_total", "_bucket")}
    rules = (ROOT / "deploy/prometheus/pulsehouse.rules.yml").read_text(encoding="utf-8")
    of_clickhouse = set(re.findall(r"ClickHouse\w+_\w+", rules))
    labels = {label for metric in REGISTRY.collect() for sample in metric.samples for label in sample.labels} | {
        "le",
        "status",
        "route",
        "outcome",
    }
    assert panel["targets"]
    for target in [panel, *panel["targets"]]:
        assert f"uid: {target['datasource']['uid']}\n" in provisioned
        assert f"type: {target['datasource']['type']}\n" in provisioned
    for target in panel["targets"]:
        if expr := target.get("expr"):
            metrics = set(re.findall(r"(?:pulsehouse|ClickHouse)\w+", expr))
            assert metrics
            assert metrics <= names | of_clickhouse
            asked = re.findall(r"(\w+)=\"", expr) + re.findall(r"by \(([\w, ]+)\)", expr)
            assert {label.strip() for text in asked for label in text.split(",")} <= labels
            assert expr.count("(") == expr.count(")")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_laid_out_without_overlaps_and_defines_its_variables(name: str) -> None:
    dashboard = DASHBOARDS[name]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    queries = [target.get("rawSql") or target["expr"] for panel in panels for target in panel["targets"]]
    used = set().union(*map(variables_of, queries)) - BUILT_IN
    assert used == {variable["name"] for variable in dashboard["templating"]["list"]}


def test_a_plain_start_has_no_dashboards_and_the_profile_mounts_what_there_is() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    services = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", compose.partition("services:\n")[2], re.MULTILINE))
    assert {name for name, text in services.items() if "profiles: [dashboards]\n" in text} == {"prometheus", "grafana"}
    for source in re.findall(r"- \./(\S+?):/", compose):
        assert (ROOT / source).exists()
