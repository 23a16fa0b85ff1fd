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
from app.wiring import create_handlers, create_store, create_work
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
        assert default == (str(field.default) or "empty").replace("False", "false")
    (meta,) = getattr(field.type, "__metadata__", (None,))
    if meta:
        assert bounds == (f"at least {meta.ge}" if meta.le is None else f"{meta.ge} to {meta.le}")
    if get_origin(field.type) is Literal:
        assert bounds == ", ".join(f"`{value}`" for value in get_args(field.type))
    assert meaning


def test_every_endpoint_is_documented() -> None:
    engine = ServerEngine("http://nowhere.invalid", query_timeout_s=1, insert_timeout_s=1)
    store = create_store(Settings(), engine=engine)
    handlers = create_handlers(Settings(), store, create_work(Settings(), store))
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
    # Views with parameters have no columns in system.columns.
    views = await api.select(
        "SELECT name, arrayStringConcat(arrayMap(p -> p.1, parameterized_view_parameters), ' ') FROM system.tables "
        "WHERE database = currentDatabase() AND parameterized_view_parameters != []"
    )
    for view, parameters in (line.split("\t") for line in views.splitlines()):
        given = ", ".join(f"{name} = {VALUES.get(name, 'now()')}" for name in parameters.split())
        described = await api.select(f"DESCRIBE TABLE (SELECT * FROM {view}({given}))")
        rows += f"\n{view}\t{[line.partition(chr(9))[0] for line in described.splitlines()]}"
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", read("docs/analysts.md"), re.MULTILINE | re.DOTALL))
    documented = {
        table: set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))))
        for table, text in sections.items()
    }
    assert documented == {
        table: set(re.findall(r"'(\w+)'", columns)) for table, columns in (row.split("\t") for row in rows.splitlines())
    }


VALUES = {"site": "''", "zone": "'UTC'"}
"""What a view's parameters are given where it does not matter; to all others an instant."""

QUESTIONS = dict(
    re.findall(
        r"^### ([^\n]+)\n[^#`]*(?:`[^`]+`[^#`]*)*```sql\n(.*?)```",
        read("docs/analysts.md").partition("## Ten questions")[2].partition("\n## ")[0],
        re.MULTILINE | re.DOTALL,
    )
)
QUERIES = dict(
    re.findall(
        r"^(?:### )?([^\n]+)\n\n```sql\n(.*?)```",
        read("docs/analysts.md").partition("## The API's own numbers")[2],
        re.MULTILINE | re.DOTALL,
    )
)


async def rows_of(api: Api, query: str) -> list[dict[str, Any]]:
    parameters = {"site": "site_a", "now": api.clock(), "zone": "Asia/Kolkata", "page": "/pricing"}
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

    went = [row for row in went if row["active_visitors"]]
    assert went == [
        {"minute": f"{today + timedelta(minutes=minute):%F %T}", "active_visitors": visitors}
        for minute, visitors in [(-1, 1), (0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 2), (7, 2)]
    ]
    for row in went:
        api.clock.now = datetime.fromisoformat(row["minute"] + "+00:00") + timedelta(seconds=50)
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


async def test_the_ten_questions_are_answered_with_what_happened(api: Api) -> None:
    assert len(QUESTIONS) == 10
    await api.add_site("site_r", tenant="rival")
    _, rival = await api.add_key("write", tenant="rival")
    for time, days, site, visitor, path, kind, country, referrer, campaign in [
        ("11:50:00", 0, "site_a", "eve", "/", "pageview", "DE", "", ""),
        ("12:00:50", 0, "site_a", "ann", "/", "pageview", "DE", "", ""),
        ("12:10:00", 0, "site_a", "bob", "/", "pageview", "DE", "", ""),
        ("18:29:59", 0, "site_a", "eve", "/", "pageview", "DE", "", ""),  # the last second of a day in India
        ("23:58:00", 0, "site_a", "owl", "/pricing", "pageview", "DE", "", ""),
        ("00:02:00", 1, "site_a", "owl", "/pricing", "pageview", "DE", "", ""),
        ("00:02:30", 0, "site_a", "bat", "/", "heartbeat", "DE", "", ""),
        ("10:59:00", 0, "site_b", "bob", "/", "pageview", "US", "", ""),
        ("11:40:00", 0, "site_a", "cat", "/pricing", "pageview", "DE", "", ""),
        ("11:57:00", 0, "site_r", "ann", "/", "pageview", "US", "", ""),
        ("11:57:00", 0, "site_a", "ann", "/", "pageview", "US", "news.example", "spring"),
        ("11:58:00", 0, "site_a", "bob", "/docs", "pageview", "DE", "blog.example", ""),
        ("11:58:00", 0, "site_a", "eve", "/pricing", "pageview", "DE", "", ""),
        ("11:59:00", 0, "site_a", "cat", "/pricing", "pageview", "DE", "news.example", ""),
        ("11:59:30", 0, "site_a", "ann", "/pricing", "pageview", "US", "", ""),
    ]:
        api.clock.set(time, days=days)
        signal: dict[str, Any] = {
            "siteId": site,
            "type": kind,
            "path": path,
            "referrer": referrer,
            "visitorId": visitor,
        }
        signal |= {"country": country, "utm": {"source": "mail", "campaign": campaign} if campaign else None}
        response = await api.track(signal, token=rival if site == "site_r" else api.write)
        assert response.status_code == 200, response.text
    api.clock.set("12:00:30")
    today = f"{api.clock():%F}"

    now = f"toDateTime('{api.clock():%F %T}', 'UTC')"
    answers = {question: await rows_of(api, query.replace("now('UTC')", now)) for question, query in QUESTIONS.items()}
    hourly = answers.pop("Visitors per hour today, in a time zone")
    assert [row["local_hour"] for row in hourly] == [f"{hour:02}:00" for hour in range(18)]
    assert [tuple(row.values()) for row in hourly if row["visitors"]] == [("05:00", 2, 2), ("17:00", 4, 6)]
    assert answers == {
        "Top referrers now": [
            {"referrer": "news.example", "visitors": 2},
            {"referrer": "blog.example", "visitors": 1},
        ],
        "Countries now": [{"country": "DE", "visitors": 3}, {"country": "US", "visitors": 1}],
        "This hour against the same hour yesterday": [
            {"day": "today", "visitors": 4, "pageviews": 6},
            {"day": "yesterday", "visitors": 2, "pageviews": 2},
        ],
        "Campaigns now": [{"utm_campaign": "spring", "utm_source": "mail", "utm_medium": "", "visitors": 1}],
        "Totals per tenant, now": [
            {"tenant": "acme", "sites": 2, "active_visitors": 4, "pageviews_last_5_min": 5},
            {"tenant": "rival", "sites": 1, "active_visitors": 1, "pageviews_last_5_min": 1},
        ],
        "Visitors on a page, by minute, over 24 hours": [
            {"minute": f"{api.clock() - timedelta(days=1):%F} 23:58:00", "visitors": 1},
            {"minute": f"{today} 00:02:00", "visitors": 1},
            {"minute": f"{today} 11:40:00", "visitors": 1},
            {"minute": f"{today} 11:58:00", "visitors": 1},
            {"minute": f"{today} 11:59:00", "visitors": 2},
        ],
        "Peak of concurrent visitors today": [{"minute": f"{today} 11:59:00", "active_visitors": 4}],
        # owl's over midnight, and those of the morning: cat, ann, bob, eve; bat has sent heartbeats only.
        "Bounce rate today": [{"sessions": 5, "bounces": 2, "bounce_rate_percent": 40}],
        "Sites without a signal for an hour": [
            {"site_id": "site_b", "name": "example.org", "last_signal": f"{today} 10:59:00"}
        ],
    }


EXAMPLES = [
    pytest.param(example, id=str(page.relative_to(ROOT)))
    for page in PAGES
    for example in re.findall(r"^```json\n(.+?)```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if "pageBreakdown" in example
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
