"""`pulsehouse site`: adds, changes and lists sites."""

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json, print_table, usage_errors
from app.client.plain_text import clean
from app.domain.sites import clean_host, clean_site_id, clean_tenant, new_site_id
from app.store.store import Store
from app.store.tenants import SiteRow


@click.group()
def site() -> None:
    """Add, change and list sites."""


@site.command()
@click.option("--tenant", required=True, help="The customer who owns the site.")
@click.option(
    "--domain", "domains", required=True, multiple=True, help="Host name of the site; may be given more than once."
)
@click.option("--name", help="Name for people; the domain if not given.")
@click.option("--id", "site_id", help="Site id for the tracker and the API; made up if not given.")
@as_json_option
def add(tenant: str, domains: tuple[str, ...], name: str | None, site_id: str | None, as_json: bool) -> None:
    """Add a site. Its `www.` twin may send signals too."""
    with usage_errors():
        hosts = [clean_host(domain) for domain in domains]
        new_id = clean_site_id(site_id or new_site_id())
        tenant = clean_tenant(tenant)

    async def work(store: Store) -> list[SiteRow]:
        sites = await store.tenants.list_sites()
        for known in sites:
            if known.id == new_id:
                raise click.ClickException(_exists(known, tenant, hosts))
        await store.tenants.add_site(new_id, tenant, hosts, name or hosts[0])
        return sites

    _warn_of_twins(with_store(work), new_id, tenant, hosts)
    if as_json:
        print_json({"id": new_id})
    else:
        click.echo(f"added site {new_id} for {', '.join(hosts)}")


@site.command("set")
@click.argument("site_id")
@click.option("--domain", "domains", multiple=True, help="Host name of the site; give all, these replace the former.")
@click.option("--name", help="Name for people.")
@as_json_option
def set_(site_id: str, domains: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Change the domains or the name of a site; what is not given stays. Running workers know within a second."""
    with usage_errors():
        hosts = [clean_host(domain) for domain in domains]
    if not hosts and not name:
        raise click.UsageError("give --domain or --name")

    async def work(store: Store) -> tuple[SiteRow, list[SiteRow]]:
        sites = await store.tenants.list_sites()
        for known in sites:
            if known.id == site_id:
                await store.tenants.set_site(site_id, hosts or list(known.domains), name or known.name)
                return known, sites
        raise click.ClickException(f"no site {site_id}; see: pulsehouse site list")

    before, sites = with_store(work)
    _warn_of_twins(sites, site_id, before.tenant, hosts)
    if as_json:
        print_json({"id": site_id, "domains": hosts or before.domains, "name": name or before.name})
    else:
        click.echo(clean(f"site {site_id} has {', '.join(hosts or before.domains)}, name {name or before.name}"))


@site.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all sites."""

    async def work(store: Store) -> list[SiteRow]:
        return await store.tenants.list_sites()

    sites = with_store(work)
    if as_json:
        print_json(sites)
    else:
        rows = [
            (row.id, row.tenant, ", ".join(row.domains), row.name, f"{row.created_at:%Y-%m-%d %H:%M}") for row in sites
        ]
        print_table(
            ("id", "tenant", "domains", "name", "added (UTC)"), rows, "no sites yet; add one with: pulsehouse site add"
        )


def _exists(known: SiteRow, tenant: str, hosts: list[str]) -> str:
    if known.tenant != tenant:
        return f"site {known.id} exists already; choose another --id"
    options = " ".join(f"--domain {host}" for host in dict.fromkeys([*known.domains, *hosts]))
    return f"site {known.id} exists already; change it with: pulsehouse site set {known.id} {options}"


def _warn_of_twins(sites: list[SiteRow], site_id: str, tenant: str, hosts: list[str]) -> None:
    """Say which of the hosts another site of the tenant has: a page's signals go to one of the two alone."""
    for host in hosts:
        for known in sites:
            if known.tenant == tenant and known.id != site_id and known.shares_host(host):
                click.echo(clean(f"Warning: {host} is a domain of the tenant's site {known.id} too"), err=True)
