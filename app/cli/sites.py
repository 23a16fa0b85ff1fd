"""`pulsehouse site`: adds, changes, removes, imports and lists sites."""

import sys
from collections.abc import Sequence
from typing import TextIO

import rich_click as click
from click import progressbar

from app.cli.managing import Administration, Where, where_option
from app.cli.output import as_json_option, print_json, print_table, usage_errors
from app.cli.site_files import read_sites
from app.client.administration import RemoteSite
from app.client.plain_text import clean
from app.domain.errors import IdTaken, NotFound
from app.domain.sites import Site, clean_hosts, clean_name, clean_tenant, make_site
from app.store.tenant_rows import SiteRow

AT_ONCE = 500
"""So many sites of a file are stored together."""
WRONG_SHOWN = 20

Sites = Sequence[SiteRow] | Sequence[RemoteSite]


@click.group()
def site() -> None:
    """Add, change, remove, import and list sites."""


@site.command()
@click.option("--tenant", help="The customer who owns the site; with --url that of the key.")
@click.option(
    "--domain", "domains", required=True, multiple=True, help="Host name of the site; may be given more than once."
)
@click.option("--name", help="Name for people; the domain if not given.")
@click.option("--id", "site_id", help="Site id for the tracker and the API; made up if not given.")
@where_option
@as_json_option
def add(
    where: Where, tenant: str | None, domains: tuple[str, ...], name: str | None, site_id: str | None, as_json: bool
) -> None:
    """Add a site. Its `www.` twin may send signals too."""
    new = _new_site(where.require_tenant(tenant), domains, name, site_id, bool(where.url))

    async def work(administration: Administration) -> Sites:
        sites = await administration.list_sites(None)
        for known in sites:
            if known.id == new.id:
                raise click.ClickException(_exists(known, new))
        await _add(administration, [new])
        return sites

    _warn_of_twins(where.run(work), new)
    if as_json:
        print_json({"id": new.id})
    else:
        click.echo(f"added site {new.id} for {', '.join(new.domains)}")


@site.command("set")
@click.argument("site_id")
@click.option("--domain", "domains", multiple=True, help="Host name of the site; give all, these replace the former.")
@click.option("--name", help="Name for people.")
@where_option
@as_json_option
def set_(where: Where, site_id: str, domains: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Change the domains or the name of a site; what is not given stays. Running workers know within a second."""
    with usage_errors():
        hosts = clean_hosts(domains) if domains else None
        name = clean_name(name) if name else None
    if not hosts and not name:
        raise click.UsageError("give --domain or --name")

    async def work(administration: Administration) -> tuple[Site, Sites]:
        try:
            changed = await administration.change_site(None, site_id, hosts, name)
        except NotFound:
            raise click.ClickException(_no_site(site_id)) from None
        return changed, await administration.list_sites(None)

    changed, sites = where.run(work)
    if hosts:
        _warn_of_twins(sites, changed)
    if as_json:
        print_json({"id": site_id, "domains": changed.domains, "name": changed.name})
    else:
        click.echo(clean(f"site {site_id} has {', '.join(changed.domains)}, name {changed.name}"))


@site.command()
@click.argument("site_id")
@click.confirmation_option("--yes", prompt="Remove the site and all that was counted on it?", help="Do not ask.")
@where_option
@as_json_option
def remove(where: Where, site_id: str, as_json: bool) -> None:
    """Remove a site. Running workers forget it within 5 seconds; its rows are deleted a minute later."""

    async def work(administration: Administration) -> None:
        try:
            await administration.remove_site(None, site_id)
        except NotFound:
            raise click.ClickException(_no_site(site_id)) from None

    where.run(work)
    if as_json:
        print_json({"id": site_id, "removed": True})
    else:
        click.echo(clean(f"removed site {site_id}; a running service deletes its rows in about a minute"))


@site.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--tenant", help="The customer who owns the sites; with --url that of the key.")
@where_option
@as_json_option
def import_(where: Where, file: TextIO, tenant: str | None, as_json: bool) -> None:
    """Add the sites of FILE (- for standard input): CSV with the columns domains, name and id, or JSON lines.

    Every line is checked before the first site is stored. Several domains are separated by blanks, in JSON they are a
    list; name and id may be missing.
    """
    tenant = where.require_tenant(tenant)
    if not where.url:
        with usage_errors():
            tenant = clean_tenant(tenant)
    try:
        new, wrong = read_sites(file.read(), tenant or "-")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name}: not UTF-8") from None

    async def work(administration: Administration) -> None:
        known = {row.id for row in await administration.list_sites(None)}
        wrong.extend(f"id: {site.id} is taken" for site in new if site.id in known)
        if wrong:
            for problem in wrong[:WRONG_SHOWN]:
                click.echo(clean(problem), err=True)
            raise click.ClickException(f"{file.name}: {len(wrong)} lines are wrong; nothing was stored")
        with progressbar(length=len(new), label="adding sites", file=sys.stderr) as bar:
            for start in range(0, len(new), AT_ONCE):
                try:
                    await _add(administration, new[start : start + AT_ONCE])
                except click.ClickException as error:
                    raise click.ClickException(f"{error.message}; the first {start} sites are stored") from None
                bar.update(len(new[start : start + AT_ONCE]))

    where.run(work)
    if as_json:
        print_json({"added": [site.id for site in new]})
    else:
        click.echo(f"added {len(new)} sites")


@site.command("list")
@click.option("--tenant", help="Of this customer alone.")
@where_option
@as_json_option
def list_(where: Where, tenant: str | None, as_json: bool) -> None:
    """List the sites: all, those of a tenant, or with --url those of the key's."""
    if where.url:
        where.require_tenant(tenant)

    async def work(administration: Administration) -> Sites:
        return await administration.list_sites(tenant)

    sites = where.run(work)
    if as_json:
        print_json([_as_json(row) for row in sites])
        return
    rows = [(row.id, row.tenant, ", ".join(row.domains), row.name, _added(row)) for row in sites]
    print_table(
        ("id", "tenant", "domains", "name", "added (UTC)"), rows, "no sites yet; add one with: pulsehouse site add"
    )


def _new_site(tenant: str, domains: Sequence[str], name: str | None, site_id: str | None, is_remote: bool) -> Site:
    with usage_errors():
        return make_site("-" if is_remote else tenant, domains, name or None, site_id)


async def _add(administration: Administration, new: Sequence[Site]) -> None:
    try:
        await administration.add_sites(new)
    except IdTaken as error:
        raise click.ClickException(f"{error}; choose another id") from None


def _as_json(row: SiteRow | RemoteSite) -> dict[str, object]:
    shown: dict[str, object] = {"id": row.id, "domains": row.domains, "name": row.name}
    if isinstance(row, SiteRow):
        shown |= {"tenant": row.tenant, "created_at": row.created_at, "updated_at": row.updated_at}
    return shown


def _added(row: SiteRow | RemoteSite) -> str:
    return f"{row.created_at:%Y-%m-%d %H:%M}" if isinstance(row, SiteRow) else ""


def _no_site(site_id: str) -> str:
    return f"no site {site_id}; see: pulsehouse site list"


def _exists(known: Site, new: Site) -> str:
    if known.tenant not in (new.tenant, ""):
        return f"site {known.id} exists already; choose another --id"
    options = " ".join(f"--domain {host}" for host in dict.fromkeys([*known.domains, *new.domains]))
    return f"site {known.id} exists already; change it with: pulsehouse site set {known.id} {options}"


def _warn_of_twins(sites: Sites, new: Site) -> None:
    """Say which of its hosts another site of the tenant has: a page's signals go to one of the two alone."""
    for host in new.domains:
        for known in sites:
            if known.tenant in (new.tenant, "") and known.id != new.id and known.shares_host(host):
                click.echo(clean(f"Warning: {host} is a domain of the tenant's site {known.id} too"), err=True)
