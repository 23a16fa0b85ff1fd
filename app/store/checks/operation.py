"""Whether the database will go on working: parts, disks, signals, salts, retention, backups, logs."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from app.domain.findings import Finding
from app.domain.sizes import in_bytes, in_time
from app.store.checks.examined import Examined
from app.store.engine import EngineError
from app.store.salts import KEPT_AFTER

SILENCE = timedelta(hours=1)
BACKUP_AGE = timedelta(days=2)
LOGS_BYTES = 1_000_000_000
DISK_WARNING, DISK_ERROR = 0.2, 0.05
"""Shares of a disk that are free."""
DAYS_LEFT = 14
UNKNOWN_TABLE = 60
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class _Parts(msgspec.Struct, frozen=True):
    table: str
    most_parts: int
    slowed_from: int
    bytes: int
    oldest: str
    newest: str


class _Stuck(msgspec.Struct, frozen=True):
    table: str
    what: str
    detail: str


class _Disk(msgspec.Struct, frozen=True):
    name: str
    free_bytes: int
    total_bytes: int
    bytes_a_day: int


class _Traffic(msgspec.Struct, frozen=True):
    newest: datetime
    sites: int


class _Salt(msgspec.Struct, frozen=True):
    day: date
    salts: int


class _Kept(msgspec.Struct, frozen=True):
    table: str
    days: int
    whole_parts: bool


class _Backups(msgspec.Struct, frozen=True):
    newest: datetime
    failed: str = ""


class _Log(msgspec.Struct, frozen=True):
    table: str
    bytes: int


async def check_parts(examined: Examined) -> list[Finding]:
    """Whether merges keep up, and nothing is stuck or broken."""
    tables = await examined.rows("doctor/parts", _Parts)
    findings = [
        Finding(
            "parts",
            "error" if table.most_parts >= table.slowed_from else "warning",
            f"{table.table} has {table.most_parts} parts in a day; INSERTs are slowed down from {table.slowed_from} on",
            "do merges run (system.merges), is the disk slow? PULSEHOUSE_COMMIT_INTERVAL_MS higher makes fewer",
        )
        for table in tables
        if table.most_parts * 2 >= table.slowed_from
    ]
    for stuck in await examined.rows("doctor/stuck", _Stuck):
        if stuck.what == "mutation":
            says = f"a delete in {stuck.table} fails: {stuck.detail}"
            findings.append(Finding("parts", "error", says, "cure the reason, or KILL MUTATION; see system.mutations"))
        elif stuck.what == "refresh":
            says = f"{stuck.table} is not renewed, and analysts do not see new sites: {stuck.detail}"
            findings.append(Finding("parts", "warning", says, "cure the reason; see system.view_refreshes"))
        else:
            says = f"ClickHouse has set {stuck.detail} parts of {stuck.table} aside as broken"
            way_out = "restore a backup (docs/backup.md), or do without them: see system.detached_parts"
            findings.append(Finding("parts", "error", says, way_out))
    most = max((table.most_parts for table in tables), default=0)
    return findings or [Finding("parts", "ok", f"at most {most} in a day of a table, nothing stuck or broken")]


async def check_disks(examined: Examined) -> list[Finding]:
    """Whether the disks have room, and for how long."""
    findings = []
    for disk in await examined.rows("doctor/disks", _Disk):
        share = disk.free_bytes / disk.total_bytes if disk.total_bytes else 1.0
        days = disk.free_bytes // disk.bytes_a_day if disk.bytes_a_day else None
        says = f"{disk.name}: {in_bytes(disk.free_bytes)} of {in_bytes(disk.total_bytes)} free"
        if days is not None and days < 1_000:
            says += f", enough for {days} days at {in_bytes(disk.bytes_a_day)} a day"
        way_out = "make room: a larger disk, or fewer days with pulsehouse database retention"
        if share < DISK_ERROR:
            findings.append(Finding("disk", "error", says, way_out))
        elif share < DISK_WARNING or (days is not None and days < DAYS_LEFT):
            findings.append(Finding("disk", "warning", says, way_out))
        else:
            findings.append(Finding("disk", "ok", says))
    return findings or [Finding("disk", "ok", "nothing is stored yet")]


async def check_signals(examined: Examined) -> list[Finding]:
    """Whether signals come."""
    (traffic,) = await examined.rows("doctor/traffic", _Traffic)
    if not traffic.sites:
        return [Finding("signals", "ok", "there are no sites yet; pulsehouse site add makes one")]
    sites = f"{traffic.sites} sites" if traffic.sites > 1 else "1 site"
    way_out = (
        "is the tracker on the pages, does the proxy pass /api/track on, does the service run? "
        "docs/diagnosing.md, No signals"
    )
    if traffic.newest == NEVER:
        return [Finding("signals", "warning", f"{sites}, and no signal ever", way_out)]
    age = examined.clock() - traffic.newest
    if age > SILENCE:
        return [Finding("signals", "warning", f"{sites}, the newest signal came {in_time(age)} ago", way_out)]
    return [Finding("signals", "ok", f"{sites}, the newest signal came {in_time(age)} ago")]


async def check_salts(examined: Examined) -> list[Finding]:
    """Whether the salts of past days are gone, and each day has one."""
    salts = await examined.rows("doctor/salts", _Salt)
    first_kept = (examined.clock() - KEPT_AFTER).date()
    findings = []
    if served := [salt.day for salt in salts if salt.day < first_kept]:
        says = f"the salt of {served[0]} should be deleted; with it visitors of that day can be told by their address"
        way_out = "start the service, which deletes it; where it runs, its log says why it cannot"
        findings.append(Finding("salts", "error", says, way_out))
    for salt in salts:
        if salt.salts > 1:
            says = f"{salt.day} has {salt.salts} salts; its visitors may count more than once"
            findings.append(Finding("salts", "error", says, "it passes with the day; see the tables' windows"))
    kept = ", ".join(str(salt.day) for salt in salts)
    return findings or [Finding("salts", "ok", f"of {kept}" if kept else "none; a running service makes one a day")]


async def check_retention(examined: Examined) -> list[Finding]:
    """How long rows are kept, how much that takes, and whether they leave."""
    sizes = {table.table: table for table in await examined.rows("doctor/parts", _Parts)}
    findings = []
    for kept in await examined.rows("doctor/retention", _Kept):
        size = sizes.get(kept.table)
        taken = in_bytes(size.bytes) if size else "nothing yet"
        if not kept.days:
            way_out = "pulsehouse database retention"
            findings.append(Finding("retention", "warning", f"{kept.table} is kept for good: {taken}", way_out))
            continue
        says = f"{kept.table} {kept.days} days: {taken}"
        # A day leaves once all its rows have expired, and ClickHouse looks for such days every few hours.
        due = examined.clock().date() - timedelta(days=kept.days + 2)
        if not kept.whole_parts:
            way_out = "pulsehouse database retention with the days that it has sets that right"
            findings.append(Finding("retention", "warning", f"{says}; expired rows are cut out of parts", way_out))
        elif size and size.oldest and date.fromisoformat(size.oldest) < due:
            way_out = "see whether merges run: SYSTEM START TTL MERGES"
            findings.append(Finding("retention", "error", f"{says}; has rows of {size.oldest} still", way_out))
        else:
            findings.append(Finding("retention", "ok", says))
    return findings


async def check_backups(examined: Examined) -> list[Finding]:
    """How old the newest backup is, as far as this database can know."""
    (backups,) = await examined.rows("doctor/backups", _Backups)
    newest = backups.newest
    if examined.backup_folder:
        made = [file.stat().st_mtime for file in examined.backup_folder.glob("*/.backup")]
        newest = max([newest, *(datetime.fromtimestamp(seconds, UTC) for seconds in made)])
    else:
        try:
            (logged,) = await examined.rows("doctor/backup_log", _Backups)
            newest = max(newest, logged.newest)
        except EngineError as error:
            if error.code != UNKNOWN_TABLE:
                raise
    findings = []
    if backups.failed:
        findings.append(Finding("backups", "error", f"the latest has failed: {backups.failed}", "docs/backup.md"))
    way_out = "pulsehouse database backup, every day: docs/backup.md"
    if newest == NEVER:
        return [*findings, Finding("backups", "warning", "no backup is known of", way_out)]
    age = examined.clock() - newest
    if age > BACKUP_AGE:
        return [*findings, Finding("backups", "warning", f"the newest is {in_time(age)} old", way_out)]
    return [*findings, Finding("backups", "ok", f"the newest is {in_time(age)} old")]


async def check_system_logs(examined: Examined) -> list[Finding]:
    """How much of the disk ClickHouse's logs about itself take."""
    logs = await examined.rows("doctor/system_logs", _Log)
    taken = sum(log.bytes for log in logs)
    says = f"{in_bytes(taken)} of ClickHouse's own logs"
    if taken > LOGS_BYTES:
        largest = ", ".join(f"system.{log.table} {in_bytes(log.bytes)}" for log in logs[:3])
        way_out = "TRUNCATE TABLE what nobody reads, and drop it as deploy/clickhouse/config.xml does"
        return [Finding("logs", "warning", f"{says}: {largest}", way_out)]
    return [Finding("logs", "ok", says)]
