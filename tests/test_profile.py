"""Whatever the profile of the ClickHouse user says, a statement answers and stores the same, or fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from app.domain.errors import StartupError
from app.domain.realtime import start_of_minute
from app.domain.sites import site_key
from app.settings import Settings
from app.store.engine import Result, decode_rows
from app.store.schema import UnfitSetting
from app.store.statements import Statement, load_statements
from tests.conftest import SIGNAL_TABLES, TENANT_TABLES, Api, MakeApi, Signals

STATEMENTS = load_statements()

# Found by trying every setting: under each of these some statement would say or store something else.
HOSTILE: list[dict[str, Any]] = [
    {"limit": 1},
    {"offset": 1},
    {"extremes": 1},
    {"additional_result_filter": "0"},
    {"additional_table_filters": "{'visitor_minutes': '0', 'sites': '0', 'api_keys': '0', 'signals': '0'}"},
    {"use_query_cache": 1, "query_cache_nondeterministic_function_handling": "save"},
    {"group_by_overflow_mode": "any", "max_rows_to_group_by": 2},
    {"group_by_overflow_mode": "break", "max_rows_to_group_by": 2},
    {"sort_overflow_mode": "break", "max_rows_to_sort": 1},
    {"read_overflow_mode": "break", "max_rows_to_read": 1},
    {"result_overflow_mode": "break", "max_result_rows": 1, "max_block_size": 1},
    {"timeout_overflow_mode": "break", "max_execution_time": 0.001},
    {"output_format_json_array_of_rows": 1},
    {"output_format_json_escape_forward_slashes": 1},
    {"output_format_json_map_as_array_of_tuples": 1},
    {"output_format_json_named_tuples_as_objects": 0},
    {"output_format_json_quote_64bit_integers": 1},
    {"output_format_json_skip_null_value_in_named_tuples": 1},
    {"output_format_tsv_crlf_end_of_line": 1},
    {"date_time_output_format": "unix_timestamp"},
    {"date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands": 1},
    {"materialized_views_ignore_errors": 1, "max_rows_to_group_by": 1},
    {"input_format_allow_errors_num": 10},
    {"input_format_allow_errors_ratio": 1},
    {"insert_deduplicate": 0},
    {"deduplicate_insert": "disable"},
    {"deduplicate_insert_select": "disable"},
    {"deduplicate_blocks_in_dependent_materialized_views": 0},
    {"async_insert": 1, "wait_for_async_insert": 0},
]
DOCTOR = (
    *("backups", "objects", "parts", "queues", "replicas", "retention", "salts", "shards", "stuck", "system_logs"),
    *("traffic", "unfit_tables"),
)
"""What else it asks is of the moment or of the profile itself."""
A_FEW = [
    one for one in HOSTILE if one.keys() & {"limit", "additional_result_filter", "insert_deduplicate", "async_insert"}
]
IDS = [next(iter(settings)) + "=" + str(next(iter(settings.values()))) for settings in HOSTILE]


@pytest.fixture
async def client(api: Api, engine_name: str, server_or_none: str, embedded_folder: Path) -> AsyncIterator[Client]:
    """A connection to the service's database, which takes settings with each statement like a profile's."""
    database = api.store.engine.database
    made = (
        clickhouse_connect.get_client(
            dsn=f"{server_or_none.rpartition('/')[0]}/{database}", autogenerate_session_id=False
        )
        if engine_name == "server"
        else clickhouse_connect.get_client(interface="chdb", path=str(embedded_folder), database=database)
    )
    yield made
    made.close()


async def fetch(client: Client, name: str, settings: dict[str, Any], /, **parameters: Any) -> bytes | None:
    """What a statement answers under these settings; None where it fails."""
    try:
        return await asyncio.to_thread(client.raw_query, STATEMENTS[name].text, parameters, settings=settings)
    except ClickHouseError:
        return None


async def execute(
    client: Client, name: str, settings: dict[str, Any], rows: bytes | None = None, /, **parameters: Any
) -> bool:
    """Run a statement that changes something under these settings; False where it fails."""
    try:
        await asyncio.to_thread(client.command, STATEMENTS[name].text, parameters, data=rows, settings=settings)
    except ClickHouseError:
        return False
    return True


async def changed_under(
    client: Client, reads: dict[str, dict[str, Any]], hostile: list[dict[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """The statements that answer otherwise under some settings than without them."""
    changed = []
    for name, parameters in reads.items():
        plain = await asyncio.to_thread(client.raw_query, STATEMENTS[name].text, parameters)
        for settings in hostile:
            under = await fetch(client, name, settings, **parameters)
            if under is not None and sorted(under.split(b"\n")) != sorted(plain.split(b"\n")):
                changed.append((name, settings))
    return changed


@pytest.mark.parametrize(
    "hostile", [pytest.param(A_FEW, id="a few"), pytest.param(HOSTILE, id="all", marks=pytest.mark.deep)]
)
async def test_a_read_answers_the_same_or_fails(
    api: Api, signals: Signals, client: Client, engine_name: str, hostile: list[dict[str, Any]]
) -> None:
    await signals(*((n % 4, f"visitor {n}", f"/page/{n % 5}") for n in range(12)))
    now = api.clock()
    oldest = start_of_minute(now) - timedelta(minutes=4)
    reads: dict[str, dict[str, Any]] = {
        "realtime": {"sites": [site_key("site_a"), site_key("site_b")], "now": now, "oldest": oldest},
        "breakdown": {"site": "site_a", "now": now, "by": "page", "names": ["page"], "patterns": ["/page/*"]},
        "history": {"site": "site_a", "now": now, "first": oldest},
        "overview": {"sites": [site_key("site_a"), site_key("site_b")], "now": now, "oldest": oldest},
        "sites/find": {"ids": ["site_a", "site_b"]},
        "keys/list_of_tenant": {"tenant": "acme"},
        "sites/digests": {"of": 256},
        "sites/changed": {"since_ms": 0, "cluster": ""},
        "sites/in_buckets": {"of": 2, "buckets": [0, 1], "cluster": ""},
        "sites/list": {},
        "keys/changed": {"since_ms": 0},
        "keys/in_buckets": {"of": 2, "buckets": [0, 1]},
        "keys/list": {},
        "salts/list": {"kept_minutes": 25},
        "ledger/list": {},
        "cluster/node": {"cluster": "pulsehouse"},
        "cluster/unfit_tables": {"whole": "", "own": "", "cluster": "", "shards": 1, "replicated": False},
        **{f"doctor/{name}": {} for name in DOCTOR},
        "backup/restored": {},
        "forget/count": {"site": "site_a", "ids": [1]},
        "retention/would_free": {"signal_days": 2, "minute_days": 2},
        "track/find_key": {"id": "0" * 64},
        "analysts/list": {},
    }
    if engine_name == "server":  # the embedded engine has no users
        reads["analysts/known"] = {"name": "default"}
        reads["analysts/audit"] = {"own": api.store.engine.database}
    claim = {"id": "0" * 64, "received_at": now, "body_sha256": "1" * 64}
    assert await execute(client, "track/claim_key", {}, msgspec.json.encode(claim), token="claim")
    await api.execute("INSERT INTO analysts (name, tenant) VALUES ('ann', 'acme'), ('bea', 'acme')")
    # A merge between two reads changes what doctor/parts says, and rightly.
    for table in (*SIGNAL_TABLES, *TENANT_TABLES):
        await api.execute(f"SYSTEM STOP MERGES {table}")
    try:
        changed = await changed_under(client, reads, hostile)
    finally:
        for table in (*SIGNAL_TABLES, *TENANT_TABLES):
            await api.execute(f"SYSTEM START MERGES {table}")
    assert changed == []


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(settings, id=name, marks=[] if settings in A_FEW else [pytest.mark.deep])
        for settings, name in zip(HOSTILE, IDS, strict=True)
    ],
)
async def test_a_write_stores_the_same_once_or_fails(api: Api, client: Client, settings: dict[str, Any]) -> None:
    now = api.clock()
    rows = [
        {
            "site_id": "site_a",
            # Ends in zeros, which some settings cut: it would not compare in the order of time any more.
            "timestamp": (now - timedelta(seconds=90 * (n // 4), milliseconds=n % 2)).isoformat(),
            "type": "pageview",
            "visitor_id": 1 + n % 3,
            "page": f"/page/{n}",
        }
        for n in range(8)
    ]
    body, broken = msgspec.json.Encoder().encode_lines(rows), b'{"site_id": "site_a", "timestamp": "no time"}\n'
    assert not await execute(client, "track/insert_signals", settings, body + broken, token="broken")
    for _ in range(2):
        stored = await execute(client, "track/insert_signals", settings, body, token="whole")
    if stored:
        answer = await api.realtime()
        assert (answer["activeVisitors"], answer["pageviewsLast5Min"], len(answer["recentPageviews"])) == (3, 8, 8)
        assert answer["pageBreakdown"] == {"/page/0": 1, "/page/2": 1, "/page/1": 1}
        assert await api.select("SELECT count() FROM signals") == "8"
    site = b'{"id": "site_c", "tenant": "acme", "domains": ["c.example"], "name": "c"}'
    assert not await execute(client, "sites/add", settings, site + b'{"id": 1, "domains": "none"}')
    if await execute(client, "sites/add", settings, site):
        assert await api.select("SELECT domains[1] FROM sites WHERE id = 'site_c'") == "c.example"
    key_id, token = await api.add_key("read")
    if await execute(client, "keys/revoke", settings, id=key_id):
        await api.store.refresh()
        assert (await api.get("/api/sites", token)).status_code == 401
    for salt in ("1" * 64, "2" * 64):
        added = await execute(client, "salts/add", settings, token="2001-01-01/0", day="2001-01-01", salt=salt)
    for received_at in (now, now + timedelta(seconds=1)):
        claim = msgspec.json.encode({"id": "0" * 64, "received_at": received_at, "body_sha256": "1" * 64})
        claimed = await execute(client, "track/claim_key", settings, claim, token="claim")
    if claimed:
        assert await api.select("SELECT received_at FROM request_keys") == f"{now:%F %T}.000000"
    if added:
        assert await api.select("SELECT salt FROM salts WHERE day = '2001-01-01'") == "1" * 64


@pytest.mark.parametrize(
    ("settings", "unfit"),
    [
        ({}, []),
        ({"max_threads": 3}, []),
        (
            {"aggregate_functions_null_for_empty": 1},
            [UnfitSetting("aggregate_functions_null_for_empty", "1", "0")],
        ),
        (
            {"http_max_field_value_size": 4096},
            [UnfitSetting("http_max_field_value_size", "4096", "at least 131072")],
        ),
        ({"http_max_field_value_size": 1_000_000}, []),
    ],
)
async def test_a_setting_that_no_statement_can_undo_is_named(
    client: Client, settings: dict[str, Any], unfit: list[UnfitSetting]
) -> None:
    body = await fetch(client, "unfit_settings", settings)
    assert body is not None
    assert decode_rows(body, msgspec.json.Decoder(Result[UnfitSetting])) == unfit


async def test_the_start_is_refused_under_a_setting_that_no_statement_can_undo(make_api: MakeApi) -> None:
    store = (await make_api(Settings())).store
    fetch = store.engine.fetch

    async def under_the_setting(statement: Statement, parameters: Any = None) -> bytes:
        if statement.name == "unfit_settings":
            return msgspec.json.encode({"data": [UnfitSetting("enable_global_with_statement", "0", "1")]})
        return await fetch(statement, parameters)

    async def there_already(_statement: Statement) -> None:
        pass

    store.engine.fetch = under_the_setting  # type: ignore[method-assign]
    store.engine.create_database = there_already  # type: ignore[method-assign, assignment]
    with pytest.raises(StartupError, match="enable_global_with_statement is '0' for this user but must be 1; change"):
        await store.prepare()
