"""The documentation says what is so: settings, endpoints, commands, tables, metrics, links, and queries that run."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from xml.etree import ElementTree

import msgspec
import pytest
import rich_click as click
from prometheus_client import REGISTRY

from app.cli.main import main
from app.domain.realtime import RealtimeAnswer
from app.domain.signals import Signal
from app.settings import Settings
from app.store.server import ServerEngine
from app.store.statements import Statement, load_statements
from app.wiring import create_bodies, create_handlers, create_store, create_streams
from tests.conftest import IMAGE, Api, MakeApi
from tests.kit.endpoints import operations_of
from tests.kit.model import contradictions

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.parts))


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
    if get_origin(field.type) is Literal:
        assert bounds == ", ".join(f"`{value}`" for value in get_args(field.type))
    assert meaning


def test_every_endpoint_is_documented() -> None:
    engine = ServerEngine("http://nowhere.invalid", query_timeout_s=1, insert_timeout_s=1)
    store = create_store(Settings(), engine=engine)
    handlers = create_handlers(Settings(), store, create_bodies(Settings()), create_streams(Settings(), store))
    endpoints = {name for name in operations_of(handlers) if not name.startswith(("OPTIONS ", "HEAD "))}
    assert {"GET /api/realtime", "POST /api/track"} < endpoints
    assert [endpoint for endpoint in sorted(endpoints) if f"`{endpoint}`" not in API] == []


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for sub_name in command.list_commands(context):
            sub = command.get_command(context, sub_name)
            assert sub
            yield from commands(sub, f"{name} {sub_name}")
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
    assert {metric for metric in metrics if f"`{metric}`" not in re.sub(r"{\S+}`", "`", OPERATIONS)} == set()


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


def test_every_statement_is_in_the_index_with_the_first_line_of_its_header() -> None:
    rows = re.findall(r"^\| \[(\S+)\]\((\S+)\) \| (.+) \|$", read("sql/README.md"), re.MULTILINE)
    statements = load_statements()
    assert [name for name, _, _ in rows] == list(statements)
    for name, file, what in rows:
        assert file == f"{name}.sql"
        assert statements[name].text.splitlines()[0] == f"-- {name}: {what}."


async def test_every_table_and_column_is_documented_for_analysts(make_api: MakeApi) -> None:
    api = await make_api()
    rows = await api.select(
        "SELECT table, groupArray(name) FROM system.columns "
        "WHERE database = currentDatabase() AND table NOT LIKE '%_mv' GROUP BY table"
    )
    for view in ("live_minutes(site = '', first = now(), now = now())", "live_visitors(site = '', now = now())"):
        described = await api.select(f"DESCRIBE TABLE (SELECT * FROM {view})")  # they have no columns in system.columns
        names = [line.partition("\t")[0] for line in described.splitlines()]
        rows += f"\n{view.partition('(')[0]}\t{names}"
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


async def test_the_other_queries_return_what_happened_over_midnight_too(api: Api) -> None:
    assert len(QUERIES) == 7
    for time, days, visitor, path, referrer in [
        ("23:59:30", 1, "ann", "/", "https://old.example/"),
        ("00:01:30", 1, "ann", "/a", "https://news.example/"),
        ("00:03:20", 0, "bob", "/", "https://news.example/"),
        ("00:03:25", 0, "bob", "/b", "https://blog.example/"),
        ("00:03:40", 0, "eve", "/", ""),
    ]:
        api.clock.set(time, days=days)
        signal = {"siteId": "site_a", "path": path, "referrer": referrer, "visitorId": visitor}
        assert (await api.track(signal, token=api.write)).status_code == 200
    api.clock.set("00:07:10")
    now = api.clock()
    today = now.replace(hour=0, minute=0, second=0)
    went, by_day, referrers = [await rows_of(api, query) for query in list(QUERIES.values())[4:]]

    assert went == [
        {"window_end": f"{today + timedelta(minutes=minute):%F %T}", "active_visitors": visitors}
        for minute, visitors in [(-1, 1), (0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 2), (7, 2)]
    ]
    for row in went:
        api.clock.now = datetime.fromisoformat(row["window_end"] + "+00:00") + timedelta(seconds=50)
        if api.clock.now <= now:
            assert (await api.realtime())["activeVisitors"] == row["active_visitors"], row
    assert by_day == [
        {"day": f"{today - timedelta(days=1):%F}", "pageviews": 1, "visitors": 1},
        {"day": f"{today:%F}", "pageviews": 4, "visitors": 3},
    ]
    assert referrers == [
        {"referrer": "news.example", "visitors": 2},
        {"referrer": "blog.example", "visitors": 1},
    ]


async def test_the_recipe_for_an_analyst_is_understood_and_guards_every_table_that_it_grants(api: Api) -> None:
    (recipe,) = re.findall(r"```\n(CREATE USER .+?)```", read("docs/analysts.md"), re.DOTALL)
    for statement in recipe.strip().split(";\n"):
        assert await api.store.engine.fetch(Statement("docs", f"EXPLAIN AST {statement.removesuffix(';')}"))
    granted = set(re.findall(r"^GRANT SELECT\S*.* ON pulsehouse\.(\w+) TO ann;", recipe, re.MULTILINE))
    guarded = set(re.findall(r"^CREATE ROW POLICY \w+ ON pulsehouse\.(\w+) ", recipe, re.MULTILINE))
    assert granted - {"pageviews", "live_minutes", "live_visitors"} == guarded
    assert set(re.findall(r" TO (.+);", recipe)) == {"ann"}


EXAMPLES = [
    pytest.param(example, id=str(page.relative_to(ROOT)))
    for page in PAGES
    for example in re.findall(r"^```json\n(.+?)```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if "pageviewsLast5Min" in example
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_answer_contradicts_itself_nowhere(example: str) -> None:
    assert contradictions(msgspec.json.decode(example)) == []
    answer = msgspec.json.decode(example, type=RealtimeAnswer)
    oldest = answer.timestamp.replace(second=0) - timedelta(minutes=4)
    times = [view.timestamp for view in answer.recent_pageviews]
    active = {one.minute for one in answer.visitors_per_minute if one.visitors}
    assert [one.minute for one in answer.visitors_per_minute] == [
        f"{oldest + timedelta(minutes=number):%H:%M}" for number in range(5)
    ]
    assert all(oldest <= time <= answer.timestamp for time in times)
    assert {f"{time:%H:%M}" for time in times} <= active


def test_the_examples_are_found() -> None:
    assert len(EXAMPLES) >= 2


def test_the_tracker_is_called_with_what_is_kept() -> None:
    (calls,) = re.findall(r"```javascript\n(.+?)```", read("docs/tracker.md"), re.DOTALL)
    properties = set(re.findall(r"[{,] ?(\w+):", calls))
    assert properties
    assert properties <= {field.encode_name for field in msgspec.structs.fields(Signal)}


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
