"""The doctor names what is wrong with an installation, one finding per fault, with what to do about it."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.cli.database import own_folder
from app.domain.findings import Finding
from app.settings import Settings
from app.store.checks.examined import Examined
from app.store.checks.node import check_queues, check_replicas, check_shards
from app.store.doctor import examine
from app.store.engine import Engine, EngineError
from app.store.migrations import load_migrations, migrate
from app.store.schema import Layout
from app.store.statements import Statement, load_statements
from tests.conftest import make_engine
from tests.kit.databases import new_name
from tests.kit.ports import free_port
from tests.kit.service import run, run_here

STATEMENTS, MIGRATIONS = load_statements(), load_migrations()
OF_THE_MACHINE = {"version", "disk", "backups", "logs", "zone"}
"""What these say depends on where the tests run."""
HEALTHY = (
    "INSERT INTO sites (id, tenant, domains, name) VALUES ('site_a', 'acme', ['example.com'], 'example.com')",
    "INSERT INTO signals (site_id, timestamp, type) VALUES ('site_a', now64(6, 'UTC'), 'pageview')",
    "INSERT INTO salts (day, salt) VALUES (toDate(now('UTC')), repeat('0', 64))",
)


@pytest.fixture(scope="module")
async def engine(engine_name: str, server_or_none: str, embedded_folder: Path) -> AsyncIterator[Engine]:
    """An installation on which all is well."""
    database = new_name()
    engine = make_engine(engine_name, server_or_none, embedded_folder, database)
    await engine.create_database(STATEMENTS["create_database"])
    await migrate(engine, STATEMENTS, MIGRATIONS)
    for sql in HEALTHY:
        await engine.execute(Statement("test", sql))
    yield engine
    assert of_the_installation(await look(engine)) == [], "what a test did to it was not healed"
    await engine.execute(Statement("test", f"DROP DATABASE {database}"))
    await engine.close()


class Altered:
    """An engine that gives other answers to some statements."""

    def __init__(self, engine: Engine, answers: Mapping[str, Any]) -> None:
        self.name, self.database = engine.name, engine.database
        self.create_database, self.execute, self.close = engine.create_database, engine.execute, engine.close
        self._engine = engine
        self._answers = answers

    async def fetch(self, statement: Statement, parameters: Any = None) -> bytes:
        answer = self._answers.get(statement.name)
        if isinstance(answer, EngineError):
            raise answer
        if isinstance(answer, bytes):
            return answer
        if answer is not None:
            return msgspec.json.encode({"data": answer})
        return await self._engine.fetch(statement, parameters)

    async def is_granted(self, statement: Statement) -> bool:
        return bool(self._answers.get(statement.name, await self._engine.is_granted(statement)))


async def look(engine: Engine, *, ahead_s: float = 0, backups: Path | None = None) -> list[Finding]:
    """What is found, but for what is ok."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    return [
        finding async for finding in examine(engine, STATEMENTS, MIGRATIONS, clock, backups) if finding.state != "ok"
    ]


def of_the_installation(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.check not in OF_THE_MACHINE]


async def test_on_a_new_installation_all_is_well(engine: Engine) -> None:
    assert of_the_installation(await look(engine)) == []


def record(version: int) -> str:
    """What applying a migration notes."""
    values = f"{version}, '{MIGRATIONS[version - 1].name}', '{MIGRATIONS[version - 1].sha256}'"
    return f"INSERT INTO schema_migrations (version, name, sha256) VALUES ({values})"


LAST = len(MIGRATIONS)
PAST = "toDateTime64('2020-02-02 12:00:00', 6, 'UTC')"

FAULTS: dict[str, tuple[tuple[str, ...], Finding, tuple[str, ...]]] = {
    "a window that is gone": (
        ("ALTER TABLE visitor_minutes MODIFY SETTING non_replicated_deduplication_window = 0",),
        Finding(
            "tables",
            "error",
            "visitor_minutes: deduplication window is 0, must be 10000; a repeated INSERT would be stored twice",
            "set it again: docs/diagnosing.md, Windows",
        ),
        ("ALTER TABLE visitor_minutes MODIFY SETTING non_replicated_deduplication_window = 10000",),
    ),
    "a view that is gone": (
        ("DROP TABLE recent_pageviews_mv",),
        Finding("tables", "error", "recent_pageviews_mv is missing", "restore a backup: docs/backup.md"),
        (),
    ),
    "a view that fills a table a second time": (
        (
            "CREATE MATERIALIZED VIEW again TO recent_pageviews AS "
            "SELECT site, minute, newest_state FROM recent_pageviews AS other WHERE 0",
        ),
        Finding(
            "tables",
            "error",
            "recent_pageviews is filled by *.again too, so what it fills in counts twice",
            "DROP VIEW {database}.again",
        ),
        ("DROP VIEW again",),
    ),
    "a table that is gone": (
        ("RENAME TABLE recent_pageviews TO elsewhere",),
        Finding("tables", "error", "recent_pageviews is missing", "restore a backup: docs/backup.md"),
        ("RENAME TABLE elsewhere TO recent_pageviews",),
    ),
    "a table of another engine": (
        ("DROP TABLE api_keys", "CREATE TABLE api_keys (id String) ENGINE = MergeTree ORDER BY id"),
        Finding(
            "tables",
            "error",
            "api_keys: engine is MergeTree, must be ReplacingMergeTree",
            "somebody changed it by hand; restore a backup: docs/backup.md",
        ),
        ("DROP TABLE api_keys",),
    ),
    "an edited migration": (
        ("INSERT INTO schema_migrations (version, name, sha256) VALUES (1, '0001_sites', repeat('0', 64))",),
        Finding(
            "schema",
            "error",
            "migrations/0001_sites.sql was edited after it was applied",
            "restore the file; a change belongs into a new migration",
        ),
        (record(1),),
    ),
    "a migration of a newer version": (
        ("INSERT INTO schema_migrations (version, name, sha256) VALUES (9999, '9999_later', repeat('0', 64))",),
        Finding(
            "schema",
            "error",
            "migration 9999_later is not known to this version",
            "run the version that has it; docs/upgrading.md, Going back",
        ),
        ("DELETE FROM schema_migrations WHERE version = 9999",),
    ),
    "a migration that is not applied": (
        (f"DELETE FROM schema_migrations WHERE version = {LAST}",),
        Finding(
            "schema",
            "warning",
            f"1 migrations are not applied yet, the first is {MIGRATIONS[-1].name}",
            "pulsehouse migrate, or restart the service",
        ),
        (record(LAST),),
    ),
    "a salt that has served": (
        ("INSERT INTO salts (day, salt) VALUES ('2020-02-02', repeat('0', 64))",),
        Finding(
            "salts",
            "error",
            "the salt of 2020-02-02 should be deleted; with it visitors of that day can be told by their address",
            "start the service, which deletes it; where it runs, its log says why it cannot",
        ),
        ("ALTER TABLE salts DROP PARTITION '2020-02-02'",),
    ),
    "a retention that is gone": (
        ("ALTER TABLE recent_pageviews REMOVE TTL",),
        Finding("retention", "warning", "recent_pageviews is kept for good: *", "pulsehouse database retention"),
        ("ALTER TABLE recent_pageviews MODIFY TTL minute + toIntervalDay(2)",),
    ),
    "rows that are cut out of parts": (
        ("ALTER TABLE visitor_minutes MODIFY SETTING ttl_only_drop_parts = 0",),
        Finding(
            "retention",
            "warning",
            "visitor_minutes 32 days: *; expired rows are cut out of parts",
            "pulsehouse database retention with the days that it has sets that right",
        ),
        ("ALTER TABLE visitor_minutes MODIFY SETTING ttl_only_drop_parts = 1",),
    ),
    "a day that does not leave": (
        (
            "SYSTEM STOP TTL MERGES signals",
            f"INSERT INTO signals (site_id, timestamp, type) VALUES ('site_a', {PAST}, 'heartbeat')",
            "ALTER TABLE visitor_minutes DROP PARTITION '2020-02-02'",
        ),
        Finding(
            "retention",
            "error",
            "signals 90 days: *; has rows of 2020-02-02 still",
            "see whether merges run: SYSTEM START TTL MERGES",
        ),
        ("ALTER TABLE signals DROP PARTITION '2020-02-02'", "SYSTEM START TTL MERGES signals"),
    ),
    "too many parts": (
        (
            "SYSTEM STOP MERGES signals",
            *[HEALTHY[1]] * 3,
            "ALTER TABLE signals MODIFY SETTING parts_to_delay_insert = 7",
        ),
        Finding(
            "parts",
            "warning",
            "signals has 4 parts in a day; INSERTs are slowed down from 7 on",
            "do merges run (system.merges), is the disk slow? PULSEHOUSE_COMMIT_INTERVAL_MS higher makes fewer",
        ),
        (
            "ALTER TABLE signals RESET SETTING parts_to_delay_insert",
            "SYSTEM START MERGES signals",
            "TRUNCATE TABLE signals",
            HEALTHY[1],
        ),
    ),
    "a delete that fails": (
        ("ALTER TABLE signals DELETE WHERE throwIf(site_id = 'site_a', 'no room') = 1 SETTINGS mutations_sync = 1",),
        Finding(
            "parts",
            "error",
            "a delete in signals fails: *no room*",
            "cure the reason, or KILL MUTATION; see system.mutations",
        ),
        ("KILL MUTATION WHERE database = currentDatabase() SYNC FORMAT Null",),
    ),
    "no signals": (
        ("TRUNCATE TABLE signals",),
        Finding(
            "signals",
            "warning",
            "1 site, and no signal ever",
            "is the tracker on the pages, does the proxy pass /api/track on, does the service run? "
            "docs/diagnosing.md, No signals",
        ),
        (HEALTHY[1],),
    ),
}  # fmt: skip
"""What is done to the database, the one finding that this makes (* stands for anything), and what heals it."""


@pytest.mark.parametrize(("harm", "finding", "cure"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_database_is_named_and_nothing_else_is(
    engine: Engine, harm: tuple[str, ...], finding: Finding, cure: tuple[str, ...]
) -> None:
    try:
        for sql in harm:
            try:
                await engine.execute(Statement("test", sql), timeout_s=30)
            except EngineError:
                assert "throwIf" in sql
        (found,) = of_the_installation(await look(engine))
        assert (found.check, found.state) == (finding.check, finding.state)
        assert found.do == finding.do.format(database=engine.database)
        begin, *rest = finding.says.split("*")
        assert found.says.startswith(begin)
        assert all(part in found.says for part in rest)
    finally:
        for sql in cure:
            await engine.execute(Statement("test", sql), timeout_s=30)
        if any(sql.startswith("DROP") for sql in harm):
            await migrate(engine, STATEMENTS, MIGRATIONS, again=True)


DISK = {"name": "default", "free_bytes": 500_000_000_000, "total_bytes": 1_000_000_000_000, "bytes_a_day": 0}
REPLICA = {"table": "signals", "read_only": False, "delay_s": 0, "active": 2, "total": 2}
FULLER = "make room: a larger disk, or fewer days with pulsehouse database retention"
BACK_UP = "pulsehouse database backup, every day: docs/backup.md"

ALTERATIONS: dict[str, tuple[dict[str, Any], Finding]] = {
    "a wrong version": (
        {"version": b"26.7.2.1"},
        Finding(
            "version",
            "error",
            "ClickHouse 26.7.2.1 may crash or store wrong minute buckets in an INSERT (ClickHouse#111049)",
            "take 26.7.3.9 or later: docs/operations.md, ClickHouse",
        ),
    ),
    "a right that is missing": (
        {"doctor/rights/alter_delete": False},
        Finding(
            "rights",
            "error",
            "the user may not ALTER DELETE",
            "GRANT ALTER DELETE ON {database}.* to it, and have no readonly in its profile",
        ),
    ),
    "a right that a command needs": (
        {"doctor/rights/backup": False},
        Finding(
            "rights",
            "warning",
            "the user may not BACKUP: no pulsehouse database backup",
            "GRANT BACKUP ON {database}.* to it, or use another user for that",
        ),
    ),
    "a setting that statements fail under": (
        {"unfit_settings": [{"name": "enable_global_with_statement", "value": "0", "fitting": "1"}]},
        Finding(
            "profile",
            "error",
            "enable_global_with_statement is '0' for this user, and the service refuses to start",
            "set it to 1 in the profile of the user",
        ),
    ),
    "a limit": (
        {"doctor/limits": [{"name": "max_rows_to_read", "value": "1000"}]},
        Finding(
            "profile",
            "warning",
            "max_rows_to_read is 1000 for this user: a statement above it fails, and is answered 503",
            "take the limit out of the profile of the user, or give the service a user of its own",
        ),
    ),
    "broken parts": (
        {"doctor/stuck": [{"table": "signals", "what": "broken parts", "detail": "2"}]},
        Finding(
            "parts",
            "error",
            "ClickHouse has set 2 parts of signals aside as broken",
            "restore a backup (docs/backup.md), or do without them: see system.detached_parts",
        ),
    ),
    "a copy that is not renewed": (
        {"doctor/stuck": [{"table": "analyst_sites_mv", "what": "refresh", "detail": "no connection"}]},
        Finding(
            "parts",
            "warning",
            "analyst_sites_mv is not renewed, and analysts do not see new sites: no connection",
            "cure the reason; see system.view_refreshes",
        ),
    ),
    "a disk that is nearly full": (
        {"doctor/disks": [{**DISK, "free_bytes": 150_000_000_000}]},
        Finding("disk", "warning", "default: 150 GB of 1.0 TB free", FULLER),
    ),
    "a full disk": (
        {"doctor/disks": [{**DISK, "free_bytes": 9_400_000_000}]},
        Finding("disk", "error", "default: 9.4 GB of 1.0 TB free", FULLER),
    ),
    "a disk that will be full": (
        {"doctor/disks": [{**DISK, "bytes_a_day": 50_000_000_000}]},
        Finding("disk", "warning", "default: 500 GB of 1.0 TB free, enough for 10 days at 50 GB a day", FULLER),
    ),
    "two salts of a day": (
        {"doctor/salts": [{"day": f"{datetime.now(UTC):%F}", "salts": 2}]},
        Finding(
            "salts",
            "error",
            f"{datetime.now(UTC):%F} has 2 salts; its visitors may count more than once",
            "it passes with the day; see the tables' windows",
        ),
    ),
    "logs that have grown": (
        {"doctor/system_logs": [{"table": "trace_log", "bytes": 3_100_000_000}, {"table": "text_log", "bytes": 5}]},
        Finding(
            "logs",
            "warning",
            "3.1 GB of ClickHouse's own logs: system.trace_log 3.1 GB, system.text_log 5 B",
            "TRUNCATE TABLE what nobody reads, and drop it as deploy/clickhouse/config.xml does",
        ),
    ),
    "a backup that has failed": (
        {"doctor/backups": [{"newest": f"{datetime.now(UTC):%FT%TZ}", "failed": "No space left on device"}]},
        Finding("backups", "error", "the latest has failed: No space left on device", "docs/backup.md"),
    ),
    "an old backup": (
        {"doctor/backups": [{"newest": f"{datetime.now(UTC) - timedelta(days=9, hours=1):%FT%TZ}", "failed": ""}]},
        Finding("backups", "warning", "the newest is 9 days old", BACK_UP),
    ),
    "a table that may not be looked at": (
        {"doctor/disks": EngineError(497, detail="it's necessary to have the grant SELECT on system.disks")},
        Finding(
            "disk",
            "unknown",
            "it's necessary to have the grant SELECT on system.disks",
            "see what ClickHouse said; give the user that right to have this looked at",
        ),
    ),
}  # fmt: skip
"""What a statement answers in place of the truth, and the one finding that this makes."""

WELL = {
    "version": b"26.8.1.1",
    "doctor/disks": [DISK],
    "doctor/backups": [{"newest": f"{datetime.now(UTC):%FT%TZ}", "failed": ""}],
    "doctor/backup_log": EngineError(60),
    "doctor/system_logs": [],
}


@pytest.mark.any_engine
@pytest.mark.parametrize(("answers", "finding"), ALTERATIONS.values(), ids=ALTERATIONS)
async def test_a_fault_of_the_server_is_named_and_nothing_else_is(
    engine: Engine, answers: dict[str, Any], finding: Finding
) -> None:
    expected = msgspec.structs.replace(finding, do=finding.do.format(database=engine.database))
    assert await look(Altered(engine, {**WELL, **answers})) == [expected]


OF_A_NODE: dict[str, tuple[dict[str, Any], Finding]] = {
    "a replica that is read-only": (
        {"doctor/replicas": [REPLICA | {"read_only": True}]},
        Finding(
            "replicas",
            "error",
            "signals is read-only: no INSERTs here",
            "does Keeper answer (system.zookeeper_connection)? else SYSTEM RESTORE REPLICA",
        ),
    ),
    "a replica that is behind": (
        {"doctor/replicas": [REPLICA | {"delay_s": 61}]},
        Finding(
            "replicas",
            "warning",
            "signals is 61 s behind the other replica",
            "see system.replication_queue: last_exception",
        ),
    ),
    "a replica that is away": (
        {"doctor/replicas": [REPLICA | {"active": 1}]},
        Finding(
            "replicas",
            "warning",
            "signals: 1 of 2 replicas are there",
            "start the others; one that is gone: SYSTEM DROP REPLICA",
        ),
    ),
    "replicas as they should be": (
        {"doctor/replicas": [REPLICA]},
        Finding("replicas", "ok", "1 tables, none read-only or behind"),
    ),
    "rows that wait": (
        {"doctor/queues": [{"table": "signals", "files": 3, "error": "no connection"}]},
        Finding(
            "queues",
            "warning",
            "3 INSERTs into signals wait here for their shard: no connection",
            "SYSTEM FLUSH DISTRIBUTED {database}.signals; distributed_foreground_insert = 1",
        ),
    ),
    "a shard that is not reached": (
        {"doctor/shards": EngineError(279, detail="All connection tries failed")},
        Finding(
            "shards",
            "error",
            "it does not reach every shard: All connection tries failed",
            "is port 9000 open between all nodes, and are <secret> and the user the same on each?",
        ),
    ),
}  # fmt: skip
"""What a node of a cluster answers in place of the truth, and what this makes of it."""


@pytest.mark.any_engine
@pytest.mark.parametrize(("answers", "finding"), OF_A_NODE.values(), ids=OF_A_NODE)
async def test_a_fault_between_nodes_is_named(engine: Engine, answers: dict[str, Any], finding: Finding) -> None:
    altered = Altered(engine, answers)
    check = {"replicas": check_replicas, "queues": check_queues, "shards": check_shards}[finding.check]
    examined = Examined(altered, altered, STATEMENTS, MIGRATIONS, lambda: datetime.now(UTC), layout=Layout())
    expected = msgspec.structs.replace(finding, do=finding.do.format(database=engine.database))
    assert await check(examined) == [expected]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("ahead_s", "found"),
    [(-30.0, ["error"]), (30.0, ["error"]), (3.0, ["warning"]), (0.0, [])],
)
async def test_a_clock_that_is_off_is_named(engine: Engine, ahead_s: float, found: list[str]) -> None:
    findings = await look(Altered(engine, WELL), ahead_s=ahead_s)
    assert [finding.state for finding in findings if finding.check == "clock"] == found


@pytest.mark.any_engine
async def test_the_newest_backup_of_the_embedded_engine_is_looked_for_in_its_folder(
    engine: Engine, tmp_path: Path
) -> None:
    nothing = Altered(engine, {**WELL, "doctor/backups": [{"newest": "1970-01-01T00:00:00Z", "failed": ""}]})
    assert await look(nothing, backups=tmp_path) == [Finding("backups", "warning", "no backup is known of", BACK_UP)]
    (tmp_path / "monday").mkdir()
    (tmp_path / "monday" / ".backup").touch()
    assert await look(nothing, backups=tmp_path) == []


def diagnosed(result: Any) -> dict[str, tuple[str, str]]:
    """What `doctor --json` found that is not ok: state and way out, by check."""
    findings = json.loads(result.stdout)["findings"]
    wrong = {found["check"]: (found["state"], found["do"]) for found in findings if found["state"] != "ok"}
    assert result.returncode == (1 if wrong else 0)
    assert result.stderr == ""
    return wrong


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("settings", "check", "way_out"),
    [
        ({"log_levl": "info"}, "settings", "correct it; docs/operations.md lists the settings"),
        ({"clickhouse_url": "nowhere"}, "settings", "correct it; docs/operations.md lists the settings"),
        ({"data_dir": "/no/such/folder"}, "folder", "pulsehouse serve makes it; or is PULSEHOUSE_DATA_DIR not that"),
        ({"trusted_proxies": "proxy", "data_dir": "/no"}, "proxies", "use addresses and networks like 10.0.0.0/8"),
        (
            {"clickhouse_url": f"http://127.0.0.1:{free_port()}/x"},
            "clickhouse",
            "is PULSEHOUSE_CLICKHOUSE_URL right and the server up?",
        ),
    ],
)
def test_without_a_database_the_doctor_says_what_it_can(settings: dict[str, str], check: str, way_out: str) -> None:
    wrong = diagnosed(run_here("doctor", "--json", **settings))
    state, do = wrong[check]
    assert state == "error"
    assert do.startswith(way_out)


def test_a_wrong_password_and_a_database_that_is_missing_are_named(server_url: str) -> None:
    wrong_user = f"http://nobody:wrong@{server_url.rpartition('@')[2]}"
    assert diagnosed(run_here("doctor", "--json", clickhouse_url=wrong_user)) == {
        "clickhouse": ("error", "check user and password in PULSEHOUSE_CLICKHOUSE_URL")
    }
    missing = f"{server_url.rpartition('/')[0]}/{new_name()}"
    assert diagnosed(run_here("doctor", "--json", clickhouse_url=missing)) == {
        "clickhouse": ("error", "pulsehouse migrate makes it")
    }
    assert diagnosed(run_here("doctor", "--json", clickhouse_url=missing))  # it was not made


@pytest.mark.any_engine
def test_a_folder_that_a_service_has_cannot_be_looked_into(tmp_path: Path) -> None:
    with own_folder(Settings(data_dir=str(tmp_path))):
        assert diagnosed(run_here("doctor", "--json", data_dir=str(tmp_path))) == {
            "folder": (
                "unknown",
                "stop the service to look into its database; until then see /ready, /metrics and the log",
            )
        }


def test_the_command_shows_a_line_for_each_check_and_what_to_do_under_it(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    assert run("migrate", data_dir=data_dir).returncode == 0
    result = run("doctor", data_dir=data_dir)
    assert (result.returncode, result.stderr) == (1, "")  # there is no backup yet
    lines = result.stdout.splitlines()
    assert "ok       clickhouse embedded, data in " + data_dir + " answers" in lines
    at = lines.index("warning  backups    no backup is known of")
    assert lines[at + 1] == f"{'':19} → {BACK_UP}"
    assert lines[-1].endswith(f" of {sum(not line.startswith(' ') for line in lines[:-2])} to look into")


def test_the_doctor_changes_nothing(engine: Engine) -> None:
    for name, statement in STATEMENTS.items():
        if name.startswith("doctor/"):
            sql = " ".join(line for line in statement.text.splitlines() if not line.startswith("--"))
            assert sql.startswith(("SELECT", "WITH", "CHECK GRANT")), name
