"""`pulsehouse analyst`: users of ClickHouse who see the rows of one tenant."""

import os

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json, print_table, usage_errors
from app.client.plain_text import clean
from app.domain.analysts import clean_analyst_name, make_analyst
from app.domain.errors import InvalidValue, StartupError
from app.parts import create_analysts
from app.settings import read_settings
from app.store.analysts import AnalystRow, Analysts, Finding, Found
from app.store.statements import load_statements
from app.store.store import Store
from app.wiring import create_engine

WHAT_TO_DO: dict[Finding, tuple[str, str]] = {
    "no_policy": (
        "{who} sees the rows of all tenants in {what}",
        "right for an operator, else revoke it and use pulsehouse analyst add",
    ),
    "open_view": (
        "{who} may read the view {what}, which shows the rows of all tenants",
        "create it again with SQL SECURITY INVOKER, or revoke the right",
    ),
    "more_than_reading": (
        "{who} has a policy, and rights that go around it: {what}",
        "revoke them; a user of users.xml has them all without <grants>",
    ),
    "no_tenant": (
        "{who} has the role of analysts but no tenant, and sees nothing",
        "pulsehouse analyst add, or drop it",
    ),
    "no_user": ("{who} sees {what} but is no user", "pulsehouse analyst remove {who} --apply"),
    "several_tenants": ("{who} sees the rows of {what}", "pulsehouse analyst remove, then add"),
    "shows_hidden_keys": ("{what}", "until then no analysts whom you do not trust"),
}
"""Of each finding what it is, and what to do."""


def _check_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    try:
        return clean_analyst_name(name)
    except InvalidValue as error:
        raise click.UsageError(f"NAME: {error.problem}") from None


name_argument = click.argument("name", callback=_check_name)
apply_option = click.option("--apply", is_flag=True, help="Run the SQL on the database instead of printing it.")


@click.group()
def analyst() -> None:
    """Let people query ClickHouse who see the rows of one tenant."""


@analyst.command()
@name_argument
@click.option("--tenant", required=True, help="The customer whose rows they see.")
@apply_option
@as_json_option
def add(name: str, tenant: str, apply: bool, as_json: bool) -> None:
    """Print the SQL that makes a user of ClickHouse for an analyst, or run it. The password is shown once."""
    with usage_errors():
        new = make_analyst(name, tenant)
    analysts = _analysts()
    if apply:

        async def work(store: Store) -> None:
            if not any(site.tenant == new.tenant for site in await store.administration.list_sites(new.tenant)):
                raise click.ClickException(f"tenant {new.tenant} has no sites; see: pulsehouse site list")
            await store.analysts.add(new)

        with_store(work)
    script = "" if apply else analysts.script_to_add(new)
    if as_json:
        made = {"name": new.name, "tenant": new.tenant, "password": new.password}
        print_json(made if apply else made | {"sql": script})
        return
    click.echo(script, nl=False)
    done = "added analyst" if apply else "once this SQL has run there is the analyst"
    click.echo(
        f"{done} {new.name}, who sees {new.tenant}; the password, shown only now:\n{new.password}", err=not apply
    )


@analyst.command()
@name_argument
@apply_option
@as_json_option
def remove(name: str, apply: bool, as_json: bool) -> None:
    """Print the SQL that removes an analyst's user, or run it."""
    analysts = _analysts()
    if apply:

        async def work(store: Store) -> None:
            if not any(row.name == name for row in await store.analysts.everybody()):
                raise click.ClickException(f"no analyst {name}; see: pulsehouse analyst list")
            await store.analysts.remove(name)

        with_store(work)
    script = "" if apply else analysts.script_to_remove(name)
    if as_json:
        print_json({"name": name, "removed": True} if apply else {"name": name, "sql": script})
    else:
        click.echo(f"removed analyst {name}\n" if apply else script, nl=False)


@analyst.command()
@apply_option
def role(apply: bool) -> None:
    """Print the SQL that brings the role of all analysts to this version's tables, or run it; after an upgrade."""
    analysts = _analysts()
    if apply:

        async def work(store: Store) -> None:
            await store.analysts.make_role()

        with_store(work)
    click.echo("the role pulsehouse_analyst is up to date\n" if apply else analysts.script_to_make_role(), nl=False)


@analyst.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the analysts, and whose rows they see."""

    async def work(store: Store) -> list[AnalystRow]:
        return await store.analysts.everybody()

    rows = with_store(work)
    if as_json:
        print_json([{"name": row.name, "tenant": row.tenant, "createdAt": row.created_at} for row in rows])
    else:
        cells = [(row.name, row.tenant, f"{row.created_at:%Y-%m-%d %H:%M}") for row in rows]
        print_table(("name", "tenant", "added (UTC)"), cells, "no analysts; see: pulsehouse analyst add --help")


@analyst.command()
@as_json_option
def audit(as_json: bool) -> None:
    """Say what lets a user of ClickHouse see more than the rows of one tenant; exit code 1 where there is something."""

    async def work(store: Store) -> list[Found]:
        return await store.analysts.audit()

    found = with_store(work)
    if as_json:
        print_json(found)
    else:
        for one in found:
            is_so, do = (clean(text.format(who=one.who, what=one.what)) for text in WHAT_TO_DO[one.finding])
            click.echo(f"{is_so}; {do}")
        if not found:
            click.echo("nothing: every analyst sees the rows of their tenant alone")
    if found:
        raise SystemExit(1)


def _analysts() -> Analysts:
    """The analysts of the database that the settings name, which is not opened. Raises StartupError on a cluster."""
    settings = read_settings(os.environ)
    if settings.clickhouse_cluster:
        raise StartupError(
            "PULSEHOUSE_CLICKHOUSE_CLUSTER: analysts are for one machine; on a cluster their policies would be missing "
            "on the tables of the shards"
        )
    return create_analysts(settings, create_engine(settings), load_statements())
