"""`pulsehouse key`: creates, lists and revokes API keys."""

import shlex
from datetime import UTC, datetime

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json, print_table
from app.domain.keys import SCOPES
from app.store.store import Store
from app.store.tenants import ApiKeyRow


@click.group()
def key() -> None:
    """Create, list and revoke API keys."""


@key.command()
@click.option("--tenant", required=True, help="The customer the key belongs to.")
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    required=True,
    help="read: realtime; write: server-side tracking; admin: both.",
)
@click.option(
    "--site", "site_id", default="", help="Bind the key to this site; otherwise it reaches all of the tenant's."
)
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="Valid for so many days; for ever if not given.")
@as_json_option
def create(tenant: str, scope: str, site_id: str, expires_days: int | None, as_json: bool) -> None:
    """Create a key and print its token. The token is shown once and stored nowhere."""

    async def work(store: Store) -> tuple[str, str]:
        sites = await store.tenants.list_sites()
        if site_id and not any(site.id == site_id and site.tenant == tenant for site in sites):
            raise click.ClickException(f"tenant {tenant} has no site {site_id}; see: pulsehouse site list")
        if not any(site.tenant == tenant for site in sites):
            raise click.ClickException(
                f"tenant {tenant} has no sites; add one with: "
                f"pulsehouse site add --tenant {shlex.quote(tenant)} --domain example.com"
            )
        return await store.tenants.create_key(tenant, scope, site_id, expires_days)

    key_id, token = with_store(work)
    if as_json:
        print_json({"id": key_id, "token": token})
    else:
        click.echo(f"created key {key_id}; this is its token, shown only now:\n{token}")


@key.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all keys; of tokens only hashes are known, and not shown."""

    async def work(store: Store) -> list[ApiKeyRow]:
        return await store.tenants.list_keys()

    keys = with_store(work)
    if as_json:
        print_json(
            [
                {
                    "id": row.id,
                    "tenant": row.tenant,
                    "scope": row.scope,
                    "site": row.site_id or None,
                    "state": _state(row),
                    "createdAt": row.created_at,
                    "expiresAt": row.expires_at,
                    "revokedAt": row.revoked_at,
                }
                for row in keys
            ]
        )
    else:
        rows = [
            (
                row.id,
                row.tenant,
                row.scope,
                row.site_id or "all",
                _state(row),
                f"{row.created_at:%Y-%m-%d %H:%M}",
                _until(row),
            )
            for row in keys
        ]
        columns = ("id", "tenant", "scope", "site", "state", "made (UTC)", "expires (UTC)")
        print_table(columns, rows, "no keys yet; make one with: pulsehouse key create")


@key.command()
@click.argument("key_id")
@as_json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke a key. Every running worker refuses it within 5 seconds."""

    async def work(store: Store) -> bool:
        return await store.tenants.revoke_key(key_id)

    if not with_store(work):
        raise click.ClickException(f"no key {key_id}; see: pulsehouse key list")
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"revoked key {key_id}; workers refuse it within 5 seconds")


def _state(row: ApiKeyRow) -> str:
    if row.revoked_at:
        return "revoked"
    return "valid" if row.is_valid(datetime.now(UTC)) else "expired"


def _until(row: ApiKeyRow) -> str:
    return f"{row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else "never"
