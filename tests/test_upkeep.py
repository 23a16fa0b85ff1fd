"""`pulsehouse database`: how long rows are kept, a visitor who is forgotten, a backup that brings everything back."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StartupError
from app.store.backups import Backups, Made, Progress
from app.store.engine import Engine
from app.store.migrations import load_migrations, migrate
from app.store.places import on_one_machine
from app.store.statements import Statement, load_statements
from app.store.upkeep import Found, Kept, Upkeep
from tests.conftest import Api, make_engine
from tests.kit.databases import connection, drop, new_name
from tests.kit.service import Service, key, make, run, run_here, site
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import until

STATEMENTS = load_statements()
ADDRESS = "203.0.113.7"


@pytest.fixture
async def engine(engine_name: str, server_or_none: str, embedded_folder: Path) -> AsyncIterator[Engine]:
    """A database of the test's own, with a row of today, of 20 and of 25 days ago."""
    database = new_name()
    engine = make_engine(engine_name, server_or_none, embedded_folder, database)
    await engine.create_database(STATEMENTS["create_database"])
    await migrate(engine, STATEMENTS, load_migrations())
    for days in (0, 20, 25):
        when = f"now64(6, 'UTC') - INTERVAL {days} DAY"
        sql = f"INSERT INTO signals (site_id, timestamp, type) VALUES ('site_a', {when}, 'pageview')"
        await engine.execute(Statement("test", sql))
    yield engine
    await engine.execute(Statement("test", f"DROP DATABASE {database}"))
    await engine.close()


async def days_of(engine: Engine, table: str, column: str) -> list[int]:
    """How many days ago the rows of a table are of."""
    sql = f"SELECT dateDiff('day', {column}, now('UTC'), 'UTC') AS d FROM {table} ORDER BY d FORMAT TSVRaw"
    return [int(line) for line in (await engine.fetch(Statement("test", sql))).split()]


async def test_a_shorter_retention_lets_days_go_at_once_and_touches_no_other_table(engine: Engine) -> None:
    upkeep = Upkeep(on_one_machine(engine), STATEMENTS)
    assert await upkeep.retention() == [
        Kept("recent_pageviews", 2, True),
        Kept("signals", 90, True),
        Kept("visitor_minutes", 32, True),
    ]
    (leaving,) = await upkeep.would_free({"signals": 22, "visitor_minutes": 3_650})
    assert (leaving.table, leaving.days, leaving.bytes > 0) == ("signals", 1, True)

    await upkeep.keep("signals", 22)
    await until(lambda: _are(engine, "signals", "timestamp", [0, 20]))
    assert await days_of(engine, "visitor_minutes", "minute") == [0, 20, 25]
    assert (await upkeep.retention())[1] == Kept("signals", 22, True)

    await upkeep.keep("visitor_minutes", 10)
    await until(lambda: _are(engine, "visitor_minutes", "minute", [0]))
    await upkeep.keep("signals", 400)
    assert await days_of(engine, "signals", "timestamp") == [0, 20]
    assert [kept.days for kept in await upkeep.retention()] == [2, 400, 10]


async def _are(engine: Engine, table: str, column: str, days: list[int]) -> bool:
    return await days_of(engine, table, column) == days


def test_the_command_asks_before_it_deletes(server_database: str) -> None:
    def retention(*arguments: str) -> Any:
        return run_here("database", "retention", *arguments, clickhouse_url=server_database)

    make(site(), clickhouse_url=server_database)
    with connection(server_database) as client:
        client.command("INSERT INTO signals (site_id, timestamp) VALUES ('site_a', now() - INTERVAL 20 DAY)")
        refused = retention("--signal-days", "10")
        assert (refused.returncode, refused.stdout) == (130, "")
        assert re.fullmatch(r"[\d.]+ KB of signals leave, 1 day\nDelete them for good\? \[y/N\]: \n?", refused.stderr)
        assert client.query("SELECT count() FROM signals").result_rows == [(1,)]
    shown = json.loads(retention("--signal-days", "10", "--yes", "--json").stdout)
    assert shown["kept"] == {"recent_pageviews": 2, "signals": 10, "visitor_minutes": 32}
    assert [table["table"] for table in shown["leaving"]] == ["signals"]
    assert retention("--minute-days", "40").stdout.splitlines()[1:] == [
        "recent_pageviews   2 days",
        "signals            10 days",
        "visitor_minutes    40 days",
    ]
    assert retention("--signal-days", "1").returncode == 2


async def upkeep_of(api: Api) -> Upkeep:
    return Upkeep(on_one_machine(api.store.engine), STATEMENTS)


@pytest.mark.deep
@pytest.mark.parametrize("time", ["12:00:30", "00:02:10"])
async def test_a_visitor_is_forgotten_on_one_site_with_all_signals_of_today_and_nobody_else_is(
    api: Api, time: str
) -> None:
    api.clock.set(time)
    await api.store.refresh()
    for site_id, origin in (("site_a", "https://example.com"), ("site_b", "https://example.org")):
        for path in ("/", "/private"):
            assert (await api.track({"siteId": site_id, "path": path}, Origin=origin)).status_code == 200
    await api.track({"siteId": "site_a", "path": "/other"}, User_Agent=BROWSER.replace("140", "141"))
    await api.track({"siteId": "site_a", "path": "/server", "visitorId": "ann"}, token=api.write)
    assert (await api.realtime())["activeVisitors"] == 3

    upkeep = await upkeep_of(api)
    ids = await upkeep.ids_of("site_a", ADDRESS, BROWSER, None)
    assert await upkeep.count("site_a", ids) == Found(2, 1)
    await upkeep.forget("site_a", ids)
    assert await upkeep.count("site_a", ids) == Found(0, 0)
    answer = await api.realtime()
    assert answer["activeVisitors"] == 2
    assert answer["pageBreakdown"] == {"/other": 1, "/server": 1}
    assert (await api.realtime("site_b"))["activeVisitors"] == 1

    ann = await upkeep.ids_of("site_a", "", "", "ann")
    assert await upkeep.count("site_a", ann) == Found(1, 1)
    await upkeep.forget("site_a", ann)
    assert (await api.realtime())["pageBreakdown"] == {"/other": 1}
    assert await api.select("SELECT count() FROM signals WHERE site_id = 'site_a'") == "1"


async def test_a_visitor_of_yesterday_cannot_be_told_by_anybody(api: Api) -> None:
    api.clock.set("12:00:00")
    await api.store.refresh()
    await api.track({"siteId": "site_a", "path": "/"})
    api.clock.set("12:00:00", days=1)
    await api.store.refresh()
    await api.execute("ALTER TABLE salts DROP PARTITION '" + f"{api.clock() - timedelta(days=1):%F}" + "'")
    upkeep = await upkeep_of(api)
    ids = await upkeep.ids_of("site_a", ADDRESS, BROWSER, None)
    assert await upkeep.count("site_a", ids) == Found(0, 0)
    assert await api.select("SELECT count() FROM signals") == "1"


def test_the_command_forgets_whom_it_is_given(server_database: str) -> None:
    def forget(*arguments: str) -> Any:
        return run_here("database", "forget", "--site", "site_a", *arguments, clickhouse_url=server_database)

    make(site(), clickhouse_url=server_database)
    who = ("--address", "127.0.0.1", "--user-agent", BROWSER)
    assert forget(*who).stdout == "nothing is stored on site_a that can be told to be of this visitor\n"
    with Service(clickhouse_url=server_database) as service:
        assert service.track().json() == {"success": True}
        assert forget(*who).returncode == 130
        assert json.loads(forget(*who, "--yes", "--json").stdout) == {"signals": 1, "minutes": 1}
    assert forget().returncode == 2
    assert forget("--address", "127.0.0.1", "--visitor-id", "ann").returncode == 2


TABLES = ("signals", "analysts", "api_keys", "recent_pageviews", "schema_migrations", "sites", "visitor_minutes")
NOT_BACKED_UP = {"salts", "request_keys"}


async def fingerprints(engine: Engine) -> str:
    """What the tables hold, however it is merged."""
    counts = [
        f"(SELECT (count(), sum(cityHash64(*))) FROM {table}{'' if table in ('signals', 'analysts') else ' FINAL'})"
        for table in TABLES
    ]
    return (await engine.fetch(Statement("test", f"SELECT {', '.join(counts)} FORMAT TSVRaw"))).decode()


def show_nothing(_progress: Progress) -> None:
    pass


async def back_up(engine: Engine, name: str) -> Made:
    try:
        (made,) = await Backups(on_one_machine(engine), STATEMENTS).make(name, None, show_nothing)
        return made
    except StartupError as error:
        if "backups.allowed_path" in str(error):
            pytest.skip("the ClickHouse server of the tests allows no backups into files (backups.allowed_path)")
        raise


async def test_a_backup_brings_back_every_row_but_the_salts_and_goes_on_counting(engine: Engine) -> None:
    name, backups = new_name(), Backups(on_one_machine(engine), STATEMENTS)
    for sql in (
        "INSERT INTO sites (id, tenant, domains, name) VALUES ('site_a', 'acme', ['example.com'], 'example.com')",
        "INSERT INTO salts (day, salt) VALUES (today(), repeat('0', 64))",
        "ALTER TABLE signals MODIFY TTL toDateTime(timestamp) + toIntervalDay(50)",
    ):
        await engine.execute(Statement("test", sql))
    made = await back_up(engine, name)
    assert (made.files > 0, made.bytes > 0) == (True, True)
    with pytest.raises(StartupError, match=r"ClickHouse could not: Backup File\('test_\w+'\) already exists"):
        await backups.make(name, None, show_nothing)
    before = await fingerprints(engine)
    with pytest.raises(StartupError, match=r"is not empty, it has analysts; a restore never writes over anything"):
        await backups.restore(name, None, show_nothing)
    assert await fingerprints(engine) == before

    for table in await tables_of(engine):
        await engine.execute(Statement("test", f"DROP TABLE {table}"))
    with pytest.raises(StartupError, match=r"ClickHouse could not: Backup File\('no_such_backup'\) not found"):
        await backups.restore("no_such_backup", None, show_nothing)
    restored = await backups.restore(name, None, show_nothing)
    assert (restored.signals, restored.sites, restored.keys) == (3, 1, 0)
    assert await fingerprints(engine) == before
    assert await select(engine, "SELECT count() FROM salts") == "0"
    assert (await Upkeep(on_one_machine(engine), STATEMENTS).retention())[1] == Kept("signals", 50, True)
    sql = "INSERT INTO signals (site_id, timestamp, type) VALUES ('site_a', now64(6, 'UTC'), 'pageview')"
    await engine.execute(Statement("test", sql))
    assert await select(engine, "SELECT (SELECT count() FROM signals), sum(pageviews) FROM visitor_minutes") == "4\t4"


async def select(engine: Engine, sql: str) -> str:
    return (await engine.fetch(Statement("test", sql + " FORMAT TSVRaw"))).decode().strip()


async def tables_of(engine: Engine) -> list[str]:
    """Tables and views of the database, views first."""
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY engine LIKE '%View' DESC, name"
    return (await select(engine, sql)).split()


@pytest.mark.deep
def test_a_service_on_a_restored_folder_answers_as_before_but_for_a_new_salt(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path / "data")}
    _, made = make(site(), key(), **settings)
    with Service(**settings) as service:
        assert service.track().json() == {"success": True}
        before = service.poll(made["token"]).json()
    assert json.loads(run("database", "backup", "monday", "--json", **settings).stdout)["name"] == "monday"
    shutil.move(tmp_path / "data", tmp_path / "lost")
    settings["backup_dir"] = str(tmp_path / "lost" / "backups")
    restored = json.loads(run("database", "restore", "monday", "--json", **settings).stdout)
    assert datetime.now(UTC) - datetime.fromisoformat(restored.pop("newest")) < timedelta(hours=1)
    assert restored == {"name": "monday", "signals": 1, "sites": 1, "keys": 1}
    with Service(**settings) as service:
        after = service.poll(made["token"]).json()
        if after["visitorsPerMinute"] == before["visitorsPerMinute"]:  # else a minute has passed
            assert {**after, "timestamp": ""} == {**before, "timestamp": ""}
        # A new salt: who was there before counts a second time, until the window has passed.
        assert service.track().json() == {"success": True}
        again = service.poll(made["token"]).json()
        assert again["activeVisitors"] == after["activeVisitors"] + 1
        assert again["pageviewsLast5Min"] == after["pageviewsLast5Min"] + 1


@pytest.mark.deep
def test_a_real_log_comes_back_row_by_row(real_log: Path, server_database: str) -> None:
    settings = {"clickhouse_url": server_database}
    _, made = make(site(domain="semicomplete.com"), key("write"), **settings)
    with Service(track_max_signals_per_minute="0", **settings) as service:
        where = ("--site", "site_a", "--url", service.url, "--key", made["token"])
        stored = json.loads(run("replay", str(real_log), *where, "--max", "--json").stdout)["stored"]
    assert stored > 1_000
    name = new_name()
    backup = run_here("database", "backup", name, **settings)
    if "backups.allowed_path" in backup.stderr:
        pytest.skip("the ClickHouse server of the tests allows no backups into files (backups.allowed_path)")
    query = "SELECT count(), sum(cityHash64(*)) FROM "
    with connection(server_database) as client:
        before = [client.query(f"{query}{table} FINAL").result_rows for table in TABLES[2:]]
    drop(server_database)
    assert json.loads(run_here("database", "restore", name, "--json", **settings).stdout)["signals"] == stored
    with connection(server_database) as client:
        assert [client.query(f"{query}{table} FINAL").result_rows for table in TABLES[2:]] == before


async def test_every_table_is_in_a_backup_but_that_of_the_salts(api: Api) -> None:
    tables = await api.select(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
    )
    assert sorted(set(tables.split()) - NOT_BACKED_UP) == sorted(TABLES)
    for statement in ("to_file", "to_disk"):
        assert set(re.findall(r"TABLE .+\.(\w+)", STATEMENTS[f"backup/{statement}"].text)) == set(TABLES)


@pytest.mark.any_engine
def test_a_name_of_a_backup_is_a_plain_name() -> None:
    for name in ("../elsewhere", "a b", "a'b", "/etc", ".hidden", ""):
        assert run_here("database", "backup", name, data_dir="/no/such").returncode == 2
