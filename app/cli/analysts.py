"""`pulsehouse analyst`: users of ClickHouse who see the rows of one tenant."""

import os
from collections.abc import Sequence

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json, print_table, usage_errors
from app.client.plain_text import clean
from app.domain.analysts import clean_analyst_name, make_analyst
from app.domain.errors import InvalidValue
from app.parts import create_analysts, create_cluster
from app.settings import read_settings
from app.store.analysts import AnalystRow, Analysts, Done, Finding, Found
from app.store.statements import load_statements
from app.store.store import Store
from app.wiring import create_engine

WHAT_TO_DO: dict[Finding, tuple[str, str]] = {
    "no_secret": (
        "{what} is asked as another user than who asks, which shows an analyst whom it does not know all its rows",
        "give the cluster a <secret> in remote_servers, the same on every node: docs/cluster.md",
    ),
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
    "not_known": ("{who} did not say: {what}", "run it again once it does"),
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
    done: list[Done] = []
    if apply:

        async def work(store: Store) -> list[Done]:
            if not any(site.tenant == new.tenant for site in await store.administration.list_sites(new.tenant)):
                raise click.ClickException(f"tenant {new.tenant} has no sites; see: pulsehouse site list")
            return await store.analysts.add(new)

        done = with_store(work)
    script = "" if apply else analysts.script_to_add(new)
    if as_json:
        made = {"name": new.name, "tenant": new.tenant, "password": new.password}
        print_json(made | _by_node(done) if apply else made | {"sql": script})
    else:
        click.echo(script, nl=False)
        is_so = "added analyst" if apply else "once this SQL has run there is the analyst"
        click.echo(
            f"{is_so} {new.name}, who sees {new.tenant}; the password, shown only now:\n{new.password}", err=not apply
        )
    _end(done, f"pulsehouse analyst remove {name} --apply, then add, to have it there too", silent=as_json)


@analyst.command()
@name_argument
@apply_option
@as_json_option
def remove(name: str, apply: bool, as_json: bool) -> None:
    """Print the SQL that removes an analyst's user, or run it."""
    analysts = _analysts()
    done: list[Done] = []
    if apply:

        async def work(store: Store) -> list[Done]:
            if not await store.analysts.exists(name):
                raise click.ClickException(f"no analyst {name}; see: pulsehouse analyst list")
            return await store.analysts.remove(name)

        done = with_store(work)
    script = "" if apply else analysts.script_to_remove(name)
    if as_json:
        print_json({"name": name, "removed": True} | _by_node(done) if apply else {"name": name, "sql": script})
    else:
        click.echo(f"removed analyst {name}\n" if apply else script, nl=False)
    _end(done, "the same again, once it answers; until then the user sees no rows there", silent=as_json)


@analyst.command()
@apply_option
def role(apply: bool) -> None:
    """Print the SQL that brings the role of all analysts to this version's tables, or run it; after an upgrade."""
    analysts = _analysts()
    done: list[Done] = []
    if apply:

        async def work(store: Store) -> list[Done]:
            return await store.analysts.make_role()

        done = with_store(work)
    click.echo("the role pulsehouse_analyst is up to date\n" if apply else analysts.script_to_make_role(), nl=False)
    _end(done, "the same again, once it answers")


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
            where = f" (on {', '.join(one.nodes)})" if one.nodes and one.finding != "not_known" else ""
            click.echo(f"{is_so}{clean(where)}; {do}")
        if not found:
            click.echo("nothing: every analyst sees the rows of their tenant alone")
    if found:
        raise SystemExit(1)


def _analysts() -> Analysts:
    """The analysts of the database or cluster that the settings name, which is not opened."""
    settings, statements = read_settings(os.environ), load_statements()
    if settings.clickhouse_cluster:
        cluster = create_cluster(settings, statements)
        return create_analysts(settings, cluster.control, statements, cluster)
    return create_analysts(settings, create_engine(settings), statements)


def _by_node(done: Sequence[Done]) -> dict[str, Sequence[Done]]:
    return {"nodes": done} if done else {}


def _end(done: Sequence[Done], way_out: str, *, silent: bool = False) -> None:
    """Say what each node of a cluster did; exit code 1 where one did not."""
    for one in [] if silent else done:
        click.echo(clean(f"{one.node}: {f'{one.error}; {way_out}' if one.error else 'done'}"), err=bool(one.error))
    if any(one.error for one in done):
        raise SystemExit(1)
