"""`pulsehouse key`: creates, lists and revokes API keys."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import rich_click as click

from app.cli.managing import Administration, Where, where_option
from app.cli.output import as_json_option, print_json, print_table, usage_errors
from app.client.administration import RemoteKey
from app.client.plain_text import clean
from app.domain.errors import NotFound
from app.domain.keys import MAX_EXPIRY_DAYS, SCOPES, require_site_of_public
from app.store.tenant_rows import ApiKeyRow

EXAMPLE_URL = "https://stats.example.com"
ADDRESS_NOTE = f"\nPut the address of your service in the place of {EXAMPLE_URL}."


@click.group()
def key() -> None:
    """Create, list and revoke API keys."""


@key.command()
@click.option("--tenant", help="The customer the key belongs to; with --url that of --key.")
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    required=True,
    help="read: realtime; write: server-side tracking; admin: both, and managing sites and keys; "
    "public: the numbers of --site for everybody, with a link, a frame and a badge.",
)
@click.option(
    "--site", "site_id", default="", help="Bind the key to this site; otherwise it reaches all of the tenant's."
)
@click.option(
    "--expires-days", type=click.IntRange(1, MAX_EXPIRY_DAYS), help="Valid for so many days; for ever if not given."
)
@where_option
@as_json_option
def create(where: Where, tenant: str | None, scope: str, site_id: str, expires_days: int | None, as_json: bool) -> None:
    """Create a key and print its token. The token is shown once and stored nowhere."""
    owner = where.require_tenant(tenant)
    with usage_errors():
        require_site_of_public(scope, site_id)

    async def work(administration: Administration) -> tuple[str, str]:
        if not where.url and not await administration.list_sites(owner):
            raise click.ClickException(
                f"tenant {owner} has no sites; add one with: "
                f"pulsehouse site add --tenant {shlex.quote(owner)} --domain example.com"
            )
        try:
            row, token = await administration.create_key(owner, scope, site_id, expires_days)
        except NotFound:
            whose = "the key's tenant" if where.url else f"tenant {owner}"
            raise click.ClickException(f"{whose} has no site {site_id}; see: pulsehouse site list") from None
        return row.id, token

    key_id, token = where.run(work)
    if as_json:
        print_json({"id": key_id, "token": token})
    else:
        click.echo(f"created key {key_id}; this is its token, shown only now:\n{token}")
        if scope == "public":
            click.echo(_ways_to_share(where.url, site_id, token))


@key.command("list")
@where_option
@as_json_option
def list_(where: Where, as_json: bool) -> None:
    """List all keys, or with --url those of the key's tenant; of tokens only hashes are known, and not shown."""

    async def work(administration: Administration) -> Sequence[ApiKeyRow] | Sequence[RemoteKey]:
        return await administration.list_keys(None)

    keys = where.run(work)
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
@where_option
@as_json_option
def revoke(where: Where, key_id: str, as_json: bool) -> None:
    """Revoke a key. Every running worker refuses it within 5 seconds."""

    async def work(administration: Administration) -> None:
        try:
            await administration.revoke_key(None, key_id)
        except NotFound:
            raise click.ClickException(f"no key {key_id}; see: pulsehouse key list") from None

    where.run(work)
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"revoked key {key_id}; workers refuse it within 5 seconds")


def _ways_to_share(url: str | None, site_id: str, token: str) -> str:
    """What to do with a public token, ready to be copied."""
    base = (url or EXAMPLE_URL).rstrip("/")
    query = f"siteId={quote(site_id, safe='')}&key={token}"
    attribute = query.replace("&", "&amp;")
    looks = 'title="Visitors right now" width="320" height="96" style="border: 0; color-scheme: light"'
    return f"""
Everybody may see this token: it reads the numbers of {clean(site_id)}, and nothing else.{"" if url else ADDRESS_NOTE}

A link:
{base}/?siteId={quote(site_id, safe="")}#token={token}

A frame; theme=light, dark, transparent or transparent-dark, or none for that of the reader:
<iframe src="{base}/embed?{attribute}" {looks}></iframe>

A badge:
<img src="{base}/badge.svg?{attribute}" alt="Visitors right now" height="20">"""


def _state(row: ApiKeyRow | RemoteKey) -> str:
    if row.revoked_at:
        return "revoked"
    return "expired" if row.expires_at and row.expires_at <= datetime.now(UTC) else "valid"


def _until(row: ApiKeyRow | RemoteKey) -> str:
    return f"{row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else "never"
