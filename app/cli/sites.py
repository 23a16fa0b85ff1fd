"""`pulsehouse site`: adds and lists sites."""

import re
import secrets

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json, print_table
from app.store.directory import SiteRow
from app.store.store import Store

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


@click.group()
def site() -> None:
    """Add and list sites."""


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
    hosts = [_host(domain) for domain in domains]
    new_id = site_id or "site_" + secrets.token_hex(5)
    if not ID.fullmatch(new_id):
        raise click.UsageError("--id: use 1 to 64 letters, digits, - and _")
    if not tenant.strip():
        raise click.UsageError("--tenant: must not be blank")

    async def work(store: Store) -> None:
        if any(known.id == new_id for known in await store.list_sites()):
            raise click.ClickException(f"site {new_id} exists already; choose another --id")
        await store.add_site(new_id, tenant.strip(), hosts, name or hosts[0])

    with_store(work)
    if as_json:
        print_json({"id": new_id})
    else:
        click.echo(f"added site {new_id} for {', '.join(hosts)}")


@site.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all sites."""

    async def work(store: Store) -> list[SiteRow]:
        return await store.list_sites()

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


def _host(domain: str) -> str:
    host = domain.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        host = ""
    if not DOMAIN.fullmatch(host):
        raise click.UsageError(
            f"--domain: {domain!r} is not a host name; use one like example.com, without port and path"
        )
    return host
