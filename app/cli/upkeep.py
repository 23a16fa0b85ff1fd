"""`pulsehouse database`: backs it up and restores it, says how long rows are kept, forgets a visitor."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import rich_click as click
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn

from app.cli.database import with_places
from app.cli.output import as_json_option, print_json, print_table
from app.client.plain_text import clean
from app.domain.sizes import in_bytes, in_time
from app.domain.visitors import plain_address
from app.store.backups import NAME, Backups, Made, Progress, Restored
from app.store.places import Places
from app.store.statements import Statement
from app.store.upkeep import TABLES, Found, Kept, Leaving, Upkeep

Statements = Mapping[str, Statement]
MAX_DAYS = 3_650
DAYS = click.IntRange(2, MAX_DAYS)


@click.group()
def database() -> None:
    """Back up and restore, choose how long rows are kept, forget a visitor.

    Works on the database as it is, without migrating it; on a cluster on every shard.
    """


def check_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not NAME.fullmatch(value):
        raise click.BadParameter("use letters, digits, and . - _ in between")
    return value


disk_option = click.option(
    "--disk",
    callback=check_name,
    help="A disk of ClickHouse's configuration, such as an S3 bucket; if not given, the folder for backups.",
)


@database.command()
@click.argument("name", required=False, callback=check_name)
@disk_option
@as_json_option
def backup(name: str | None, disk: str | None, as_json: bool) -> None:
    """Back everything up but the salts, while the service runs; NAME is the time if not given.

    On the embedded engine the service must be stopped meanwhile.
    """
    name = name or f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"

    async def work(places: Places, statements: Statements) -> list[Made]:
        with Showing("backing up") as show:
            return await Backups(places, statements).make(name, disk, show)

    made = with_places(work)
    if as_json:
        summed = {"name": name, "bytes": sum(one.bytes for one in made), "files": sum(one.files for one in made)}
        print_json(summed | ({"shards": made} if made[0].node else {}))
        return
    for one in made:
        where = f" on {one.node}" if one.node else ""
        click.echo(f"made backup {one.name}{where}: {in_bytes(one.bytes)} in {one.files} files")


@database.command()
@click.argument("name", callback=check_name)
@disk_option
@as_json_option
def restore(name: str, disk: str | None, as_json: bool) -> None:
    """Restore backup NAME into an empty database of the same name, and bring it to this version's schema.

    Stop the service first, and start it afterwards.
    """

    async def work(places: Places, statements: Statements) -> Restored:
        with Showing("restoring") as show:
            return await Backups(places, statements).restore(name, disk, show)

    restored = with_places(work, create=True)
    if as_json:
        print_json(
            {
                "name": name,
                "signals": restored.signals,
                "newest": restored.newest if restored.signals else None,
                "sites": restored.sites,
                "keys": restored.keys,
            }
        )
        return
    newest = f", the newest of {restored.newest:%Y-%m-%d %H:%M:%S} UTC" if restored.signals else ""
    click.echo(f"restored {restored.signals:,} signals{newest}, {restored.sites} sites and {restored.keys} keys")
    click.echo("today's visitors count as new ones from now on, as salts are in no backup")


class Showing:
    """Shows on a terminal's standard error how far a backup is."""

    def __init__(self, what: str) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._what = what
        self._task = self._bar.add_task(what)

    def __enter__(self) -> "Showing":
        self._bar.start()
        return self

    def __call__(self, progress: Progress) -> None:
        said = f"{self._what}: {in_bytes(progress.bytes)} in {progress.files} files"
        self._bar.update(self._task, description=said)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


@database.command()
@click.option("--signal-days", type=DAYS, help="Keep signals for so many days.")
@click.option("--minute-days", type=DAYS, help="Keep visitor_minutes, and live history with it, for so many days.")
@click.option("--yes", is_flag=True, help="Do not ask before rows are deleted.")
@as_json_option
def retention(signal_days: int | None, minute_days: int | None, yes: bool, as_json: bool) -> None:
    """Show how long rows are kept, or change it: at once, while the service runs."""
    wanted = {
        table: days for table, days in (("signals", signal_days), ("visitor_minutes", minute_days)) if days is not None
    }

    async def work(places: Places, statements: Statements) -> tuple[list[Kept], list[Leaving]]:
        upkeep = Upkeep(places, statements)
        leaving = []
        if wanted:
            leaving = await upkeep.would_free({**dict.fromkeys(TABLES, MAX_DAYS), **wanted})
            leaving = [table for table in leaving if table.table in wanted]
            for table in leaving:
                click.echo(
                    f"{in_bytes(table.bytes)} of {table.table} leave, {in_time(timedelta(table.days))}", err=True
                )
            if leaving and not yes:
                click.confirm("Delete them for good?", abort=True, err=True)
        for name, kept_days in wanted.items():
            await upkeep.keep(name, kept_days)
        return await upkeep.retention(), leaving

    kept, leaving = with_places(work)
    if as_json:
        by_shard: dict[str, dict[str, int | None]] = {}
        for table in kept:
            by_shard.setdefault(table.where, {})[table.table] = table.days or None
        print_json({"kept": by_shard.get("", by_shard), "leaving": leaving})
        return
    rows = [(table.table, f"{table.days} days" if table.days else "for good", table.where) for table in kept]
    columns = ("table", "kept", "where") if any(table.where for table in kept) else ("table", "kept")
    shown = [row[: len(columns)] for row in rows]
    print_table(columns, shown, "the database has no tables yet; make them with: pulsehouse migrate")


@database.command()
@click.option("--site", "site_id", required=True, help="Site that the visitor was on.")
@click.option("--address", help="The visitor's address.")
@click.option("--user-agent", default="", help="The browser's User-Agent, whole: an id is made of both.")
@click.option("--visitor-id", help="The id that a server sent for the visitor, in place of address and User-Agent.")
@click.option("--yes", is_flag=True, help="Do not ask before rows are deleted.")
@as_json_option
def forget(
    site_id: str, address: str | None, user_agent: str, visitor_id: str | None, yes: bool, as_json: bool
) -> None:
    """Delete what is stored of a visitor, as far as anybody can still tell: today's rows.

    Older rows have no name that could be made again from an address: the salt of their day is deleted.
    """
    if (address is None) == (visitor_id is None):
        raise click.UsageError("give either --address and --user-agent, or --visitor-id")

    async def work(places: Places, statements: Statements) -> Found:
        upkeep = Upkeep(places, statements)
        ids = await upkeep.ids_of(site_id, plain_address(address or ""), user_agent, visitor_id)
        found = await upkeep.count(site_id, ids)
        if found.signals or found.minutes:
            if not yes:
                said = f"{found.signals} signals, active in {found.minutes} minutes. Delete them for good?"
                click.confirm(said, abort=True, err=True)
            await upkeep.forget(site_id, ids)
        return found

    found = with_places(work)
    if as_json:
        print_json({"signals": found.signals, "minutes": found.minutes})
    elif found.signals or found.minutes:
        click.echo(clean(f"deleted {found.signals} signals and {found.minutes} minutes of the visitor on {site_id}"))
    else:
        click.echo(clean(f"nothing is stored on {site_id} that can be told to be of this visitor"))
