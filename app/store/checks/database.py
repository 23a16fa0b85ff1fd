"""Whether the database is what the service needs: version, rights, profile, clock, schema."""

import re
from datetime import datetime

import msgspec

from app.domain.findings import Finding
from app.store.checks.examined import Examined
from app.store.engine import Result, decode_rows
from app.store.migrations import Applied
from app.store.schema import unfit_tables
from app.store.versions import what_is_wrong

NEEDED = ("select", "insert", "alter_delete", "create_table", "create_view")
WANTED = {"alter_ttl": "pulsehouse database retention", "backup": "pulsehouse database backup"}
"""Rights that only a command needs, and the command."""

CLOCK_WARNING_S = 1.0
CLOCK_ERROR_S = 5.0
"""Answers count what is stamped up to this far ahead (docs/operations.md, Clocks)."""

_CREATED = re.compile(r"^CREATE (?:TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS (\w+)", re.MULTILINE)


class _Setting(msgspec.Struct, frozen=True):
    name: str
    value: str
    fitting: str = ""


class _Server(msgspec.Struct, frozen=True):
    version: str
    now: datetime
    time_zone: str
    session_time_zone: str
    uptime_s: int


class _Unfit(msgspec.Struct, frozen=True):
    table: str
    what: str
    value: str
    fitting: str


async def check_version(examined: Examined) -> list[Finding]:
    """Whether something is known against the version of ClickHouse."""
    examined.version = version = await examined.ask("version")
    if wrong := what_is_wrong(version):
        what, _, way_out = wrong.partition("; ")
        return [Finding("version", "error", what, f"{way_out}: docs/operations.md, ClickHouse")]
    return [Finding("version", "ok", f"ClickHouse {version}")]


async def check_rights(examined: Examined) -> list[Finding]:
    """Whether the user may do what the service and the commands do."""
    findings = []
    for engine in [examined.engine] if examined.layout is None else [examined.engine, examined.whole]:
        missing = []
        for right in (*NEEDED, *WANTED):
            if not await engine.is_granted(examined.statements[f"doctor/rights/{right}"]):
                missing.append(right)
        if needed := [_spelt(right) for right in missing if right in NEEDED]:
            way_out = f"GRANT {', '.join(needed)} ON {engine.database}.* to it, and have no readonly in its profile"
            findings.append(Finding("rights", "error", f"the user may not {', '.join(needed)}", way_out))
        for right in missing:
            # The rows that these are for are where the engine is.
            if (command := WANTED.get(right)) and engine is examined.engine:
                way_out = f"GRANT {_spelt(right)} ON {engine.database}.* to it, or use another user for that"
                says = f"the user may not {_spelt(right)}: no {command}"
                findings.append(Finding("rights", "warning", says, way_out))
    return findings or [Finding("rights", "ok", "the user may do all that the service and its commands do")]


def _spelt(right: str) -> str:
    return right.upper().replace("_", " ")


async def check_profile(examined: Examined) -> list[Finding]:
    """Whether the profile of the user has settings under which statements fail."""
    findings = [
        Finding(
            "profile",
            "error",
            f"{unfit.name} is {unfit.value!r} for this user, and the service refuses to start",
            f"set it to {unfit.fitting} in the profile of the user",
        )
        for unfit in await examined.rows("unfit_settings", _Setting)
    ]
    findings += [
        Finding(
            "profile",
            "warning",
            f"{limit.name} is {limit.value} for this user: a statement above it fails, and is answered 503",
            "take the limit out of the profile of the user, or give the service a user of its own",
        )
        for limit in await examined.rows("doctor/limits", _Setting)
    ]
    return findings or [Finding("profile", "ok", "no setting of the user under which statements fail")]


async def check_clock(examined: Examined) -> list[Finding]:
    """Whether ClickHouse's clock goes as this machine's does, and in which time zone it shows times."""
    before = examined.clock()
    (server,) = await examined.rows("doctor/server", _Server)
    after = examined.clock()
    # Whatever lies between question and answer is no difference.
    off_s = max((before - server.now).total_seconds(), (server.now - after).total_seconds(), 0.0)
    way_out = "synchronise both clocks (NTP): timedatectl status"
    if off_s > CLOCK_ERROR_S:
        findings = [Finding("clock", "error", f"ClickHouse's clock is {off_s:.1f} s off this one's", way_out)]
    elif off_s > CLOCK_WARNING_S:
        findings = [Finding("clock", "warning", f"ClickHouse's clock is {off_s:.1f} s off this one's", way_out)]
    else:
        findings = [Finding("clock", "ok", "ClickHouse's clock and this one agree")]
    zone = server.session_time_zone or server.time_zone
    if zone in ("UTC", "Etc/UTC"):
        return [*findings, Finding("zone", "ok", "UTC")]
    says = f"{zone}: the service works in UTC whatever that is, an analyst's today() and now() do not"
    return [*findings, Finding("zone", "ok", says)]


async def check_schema(examined: Examined) -> list[Finding]:
    """Whether the migrations of this version, and no others, were applied."""
    if "schema_migrations" not in await examined.objects():
        return [Finding("schema", "error", "the database has no schema yet", "pulsehouse migrate")]
    ledger = await examined.whole.fetch(examined.statements["ledger/list"])
    applied = {row.name: row for row in decode_rows(ledger, msgspec.json.Decoder(Result[Applied]))}
    known = {migration.name: migration for migration in examined.migrations}
    findings = []
    if unknown := sorted(applied.keys() - known.keys()):
        way_out = "run the version that has it; docs/upgrading.md, Going back"
        findings.append(Finding("schema", "error", f"migration {unknown[-1]} is not known to this version", way_out))
    for name in applied.keys() & known.keys():
        if applied[name].sha256 != known[name].sha256:
            way_out = "restore the file; a change belongs into a new migration"
            findings.append(
                Finding("schema", "error", f"migrations/{name}.sql was edited after it was applied", way_out)
            )
    if pending := sorted(known.keys() - applied.keys()):
        says = f"{len(pending)} migrations are not applied yet, the first is {pending[0]}"
        findings.append(Finding("schema", "warning", says, "pulsehouse migrate, or restart the service"))
    return findings or [Finding("schema", "ok", f"{len(known)} migrations, all applied")]


async def check_tables(examined: Examined) -> list[Finding]:
    """Whether all tables and views are there, and what exactly-once and the answers rest on."""
    existing = await examined.objects()
    made = [name for migration in examined.migrations for name in _CREATED.findall(migration.statement.text)]
    gone = [name for name in dict.fromkeys(made) if name not in existing]
    if len(gone) == len(made):
        return []  # the schema is missing, which is another finding
    findings = [Finding("tables", "error", f"{name} is missing", "restore a backup: docs/backup.md") for name in gone]
    for unfit in await examined.rows("doctor/unfit_tables", _Unfit):
        says = f"{unfit.table}: {unfit.what} is {unfit.value or 'not set'}, must be {unfit.fitting}"
        if unfit.what == "deduplication window":
            says += "; a repeated INSERT would be stored twice"
            way_out = "set it again: docs/diagnosing.md, Windows"
        elif unfit.what == "filled by":
            says = f"{unfit.table} is filled by {unfit.value} too, so what it fills in counts twice"
            way_out = f"DROP VIEW {unfit.value}"
        else:
            way_out = "somebody changed it by hand; restore a backup: docs/backup.md"
        findings.append(Finding("tables", "error", says, way_out))
    for table in await unfit_tables(examined.whole, examined.statements, examined.layout) if examined.layout else []:
        says = f"table {table.name} is {table.engine.split(' ')[0]} but must be {table.fitting}"
        findings.append(Finding("tables", "error", says, "the service refuses to start: docs/cluster.md, To begin"))
    return findings or [
        Finding("tables", "ok", f"{len(set(made))} tables and views, engines and windows as they must be")
    ]
