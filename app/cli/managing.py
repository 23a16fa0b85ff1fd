"""Where `site` and `key` work: on the database of the settings, or with --url through a running service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import rich_click as click

from app.cli.database import with_store
from app.client.administration import RemoteAdministration, RemoteKey, RemoteSite
from app.client.ask import NoAnswer, is_token
from app.domain.sites import Site
from app.store.store import Store
from app.store.tenant_rows import ApiKeyRow, SiteRow

Result = TypeVar("Result")

WAYS_OUT = {
    None: "is --url right, and the service up?",
    401: "give another token with --key",
    403: "--key must be of scope admin",
}
"""What to do about an answer that is none, by its status."""


class Administration(Protocol):
    """What both ways offer; app/store/administration.py tells what each does and raises."""

    async def list_sites(self, tenant: str | None, /) -> Sequence[SiteRow] | Sequence[RemoteSite]: ...

    async def add_sites(self, sites: Sequence[Site], /) -> Sequence[Site]: ...

    async def change_site(
        self, tenant: str | None, site_id: str, domains: Sequence[str] | None, name: str | None, /
    ) -> Site: ...

    async def remove_site(self, tenant: str | None, site_id: str, /) -> None: ...

    async def list_keys(self, tenant: str | None, /) -> Sequence[ApiKeyRow] | Sequence[RemoteKey]: ...

    async def create_key(
        self, tenant: str, scope: str, site_id: str, expires_days: int | None, /
    ) -> tuple[ApiKeyRow | RemoteKey, str]: ...

    async def revoke_key(self, tenant: str | None, key_id: str, /) -> None: ...


Work = Callable[[Administration], Awaitable[Result]]


class Where:
    """The database, or a service with the token to use there."""

    def __init__(self, url: str | None, token: str | None) -> None:
        self.url = url
        self._token = token
        if url and not (token and is_token(token)):
            raise click.UsageError("with --url give a token of scope admin with --key or PULSEHOUSE_KEY")

    def require_tenant(self, tenant: str | None) -> str:
        """The tenant to work for; of a service it is the key's."""
        if tenant is None and not self.url:
            raise click.UsageError("Missing option '--tenant'.")
        if tenant is not None and self.url:
            raise click.UsageError("--tenant: with --url it is that of --key; leave it out")
        return tenant or ""

    def run(self, work: Work[Result]) -> Result:
        """Run `work` there."""
        if not self.url:

            async def on_store(store: Store) -> Result:
                return await work(store.administration)

            return with_store(on_store)
        try:
            return asyncio.run(self._on_service(self.url, work))
        except NoAnswer as error:
            way_out = WAYS_OUT.get(error.status)
            raise click.ClickException(f"{error}{f'; {way_out}' if way_out else ''}") from None

    async def _on_service(self, url: str, work: Work[Result]) -> Result:
        administration = RemoteAdministration(url, self._token or "")
        try:
            return await work(administration)
        finally:
            await administration.close()


def where_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url and --key to a command, which gets them as `where`."""

    def with_where(*arguments: Any, url: str | None, key: str | None, **options: Any) -> Any:
        return command(*arguments, where=Where(url, key), **options)

    with_where.__doc__ = command.__doc__
    with_where.__name__ = command.__name__
    with_where.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--key", envvar="PULSEHOUSE_KEY", help="With --url: a token of scope admin; also PULSEHOUSE_KEY."),
        click.option("--url", help="Work through the service at this address, not on the database."),
    ):
        with_where = option(with_where)
    return with_where
