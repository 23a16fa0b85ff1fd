"""The documentation says what is so: settings, endpoints, commands, tables, metrics, links, and queries that run."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import rich_click as click
from prometheus_client import REGISTRY

from app.cli.main import main
from app.settings import Settings
from app.store.engine import ServerEngine
from app.store.statements import Statement
from app.wiring import create_app, create_store
from tests.conftest import IMAGE, Api, MakeApi

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def table_rows(page: str) -> Iterator[list[str]]:
    """The cells of every table row of a page."""
    for line in read(page).splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


OPERATIONS, API = read("docs/operations.md"), read("docs/api.md")


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=lambda field: field.encode_name)
def test_a_setting_is_documented_with_its_default_and_bounds(field: msgspec.structs.FieldInfo) -> None:
    (row,) = [row for row in table_rows("docs/operations.md") if row[0] == f"`{field.encode_name}`"]
    _, default, bounds, meaning = row
    if field.name == "data_dir":
        assert "user's data directory" in default
    else:
        assert default == (str(field.default) or "empty")
    (meta,) = getattr(field.type, "__metadata__", (None,))
    if meta:
        assert bounds == (f"at least {meta.ge}" if meta.le is None else f"{meta.ge} to {meta.le}")
    assert meaning


def test_every_endpoint_is_documented() -> None:
    engine = ServerEngine("http://nowhere.invalid", query_timeout_s=1, insert_timeout_s=1)
    app = create_app(Settings(), create_store(Settings(), engine))
    endpoints = {
        f"{method} {route.path}"
        for route in app.routes
        for method in route.methods
        if method not in ("OPTIONS", "HEAD")
    }
    assert {"GET /api/realtime", "POST /api/track"} < endpoints
    assert [endpoint for endpoint in sorted(endpoints) if f"`{endpoint}`" not in API] == []


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from commands(sub, f"{name} {sub.name}")
    else:
        yield name, command


@pytest.mark.parametrize(
    ("name", "command"),
    [pytest.param(name, command, id=name) for name, command in commands(main, "pulsehouse")],
)
def test_a_command_is_documented_with_its_options(name: str, command: click.Command) -> None:
    (row,) = [row for row in table_rows("docs/operations.md") if row[0] == f"`{name}`"]
    for parameter in command.params:
        is_option = isinstance(parameter, click.Option)
        written = max(parameter.opts, key=len) if is_option else str(parameter.name).upper()
        assert f"`{written}`" in row[1], f"{name} {written}"


def test_every_metric_is_documented() -> None:
    metrics = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in REGISTRY.collect()
        if metric.name.startswith("pulsehouse_")
    }
    assert metrics
    assert {metric for metric in metrics if f"`{metric}`" not in OPERATIONS.replace("{outcome}", "")} == set()


def test_every_error_message_is_documented() -> None:
    messages = re.findall(r'^    message = "(.+)"', read("app/domain/errors.py"), re.MULTILINE)
    assert [message for message in messages if f"`{message}`" not in API] == ["Request refused"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        if "://" in target:
            continue
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings]
            assert heading in slugs, f"{page.name} links to {target}"


def test_every_decision_is_listed_in_order() -> None:
    files = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    assert files == re.findall(r"\(decisions/(.+?)\)", read("docs/README.md"))
    assert len({name[:4] for name in files}) == len(files)


async def test_every_table_and_column_is_documented_for_analysts(make_api: MakeApi) -> None:
    api = await make_api()
    rows = await api.select(
        "SELECT table, groupArray(name) FROM system.columns "
        "WHERE database = currentDatabase() AND table NOT LIKE '%_mv' GROUP BY table"
    )
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", read("docs/analysts.md"), re.MULTILINE | re.DOTALL))
    documented = {
        table: set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))))
        for table, text in sections.items()
    }
    assert documented == {
        table: set(re.findall(r"'(\w+)'", columns)) for table, columns in (row.split("\t") for row in rows.splitlines())
    }


QUERIES = dict(
    re.findall(r"^(?:### )?([^\n]+)\n\n```sql\n(.*?)```", read("docs/analysts.md"), re.MULTILINE | re.DOTALL)
)


async def rows_of(api: Api, query: str) -> list[dict[str, Any]]:
    parameters = {"site": "site_a", "now": api.clock()}
    answer = await api.store.engine.fetch(Statement("docs", query + "FORMAT JSONEachRow"), parameters)
    return [msgspec.json.decode(line) for line in answer.splitlines()]


@pytest.mark.parametrize("time", ["12:00:30", "12:00:57", "00:02:10"])
async def test_the_worked_queries_return_the_numbers_of_the_api(api: Api, time: str) -> None:
    api.clock.set(time, days=1)
    now: datetime = api.clock()
    for seconds_ago, visitor, path, kind in [
        (340, "old", "/", "pageview"),
        (200, "ann", "/", "pageview"),
        (190, "bob", "/docs", "pageview"),
        (130, "ann", "/pricing", "pageview"),
        (100, "eve", "/docs", "heartbeat"),
        (20, "bob", "/docs", "event"),
        (10, "ann", "/docs", "pageview"),
        (-4, "kim", "/", "pageview"),
    ]:
        api.clock.now = now - timedelta(seconds=seconds_ago)
        signal = {"siteId": "site_a", "type": kind, "path": path, "visitorId": visitor, "country": "DE"}
        assert (await api.track(signal, token=api.write)).status_code == 200
    api.clock.now = now
    answer = await api.realtime()
    assert answer["activeVisitors"] == 4

    assert await rows_of(api, QUERIES["Active visitors and pageviews, from the record"]) == [
        {name: answer[name] for name in ("activeVisitors", "pageviewsLast5Min")}
    ]
    pages = await rows_of(api, QUERIES["Active visitors by page"])
    assert [(row["page"], row["visitors"]) for row in pages] == list(answer["pageBreakdown"].items())
    assert await rows_of(api, QUERIES["Visitors per minute"]) == answer["visitorsPerMinute"]
    feed = await rows_of(api, QUERIES["The newest pageviews"])
    assert [
        {"page": row["page"], "timestamp": row["time"].replace(" ", "T") + "Z", "country": row["country_or_null"]}
        for row in feed
    ] == answer["recentPageviews"]


async def test_the_other_queries_run(api: Api) -> None:
    assert len(QUERIES) == 7
    await api.track({"siteId": "site_a", "referrer": "https://news.example/"})
    for query in QUERIES.values():
        assert await rows_of(api, query)


def test_containers_run_the_clickhouse_of_the_tests_with_a_well_formed_configuration() -> None:
    assert f"image: {IMAGE}\n" in read("compose.yaml")
    for file in ("config.xml", "users.xml"):
        assert f"./deploy/clickhouse/{file}:/etc/clickhouse-server/" in read("compose.yaml")
        assert ElementTree.parse(ROOT / "deploy/clickhouse" / file).getroot().tag == "clickhouse"


def test_the_image_gets_every_file_that_it_copies() -> None:
    allowed = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--)(.+)$", read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
