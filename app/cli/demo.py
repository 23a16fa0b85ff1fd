"""`pulsehouse demo`: the whole service on simulated visitors, in a temporary folder."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import rich_click as click
from rich.console import Console

from app.cli.serve import require_free_port, serve_here
from app.client.simulation import HISTORY_S, WEBSITES, simulate
from app.domain.errors import StartupError
from app.log import configure_logging
from app.settings import Settings
from app.store.statements import load_statements
from app.store.store import Store
from app.wiring import create_store

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
TENANT = "demo"
SITES = {"site_docs": "docs.example", "site_shop": "shop.example"}
STOP_WITHIN_S = 1.5


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; 8000 or a free one if not given.")
def demo(port: int | None) -> None:
    """Run everything on simulated visitors: embedded engine, two sites, a key, the API. Ctrl-C ends it."""
    configure_logging("demo", level="warning")
    with tempfile.TemporaryDirectory(prefix="pulsehouse-demo-", ignore_cleanup_errors=True) as folder:
        settings = Settings(data_dir=folder, track_max_signals_per_minute=0)
        asyncio.run(_demo(settings, _choose_port(port)))


def _choose_port(port: int | None) -> int:
    if port:
        require_free_port(HOST, port)
        return port
    with suppress(StartupError):
        require_free_port(HOST, DEFAULT_PORT)
        return DEFAULT_PORT
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        free: int = probe.getsockname()[1]
        return free


async def _demo(settings: Settings, port: int) -> None:
    store = create_store(settings)

    async def visitors(stop: asyncio.Event) -> None:
        for site_id, domain in SITES.items():
            await store.tenants.add_site(site_id, TENANT, [domain], domain)
        _, read_token = await store.tenants.create_key(TENANT, "read", "", None)
        _, write_token = await store.tenants.create_key(TENANT, "write", "", None)
        await store.refresh()
        await _make_past(store)
        url = f"http://{HOST}:{port}"
        _greet(url, read_token)
        await simulate(url, list(SITES), write_token, stop)

    await serve_here(settings, store, HOST, port, beside=visitors, stop_within_s=STOP_WITHIN_S)


async def _make_past(store: Store) -> None:
    """Give each site two days of visitors, up to where the live ones begin."""
    statement = load_statements()["demo/past"]
    for site_id, website in zip(SITES, WEBSITES, strict=True):
        drawn = {
            "pages": [*website.links, *_by_weight(website.entries)],
            "countries": _by_weight(website.countries),
            "referrers": [urlsplit(url).hostname or "" for url in _by_weight(website.referrers)],
        }
        now = store.clock().replace(microsecond=0)
        await store.engine.execute(statement, {"site": site_id, "now": now, "gap_s": int(HISTORY_S), **drawn})


def _by_weight(weights: Mapping[str, float]) -> list[str]:
    return [name for name, weight in weights.items() for _ in range(round(weight))]


def _greet(url: str, token: str) -> None:
    site_id = next(iter(SITES))
    console = Console(highlight=False, soft_wrap=True)
    console.print("\n[bold]Pulsehouse demo[/bold]: simulated visitors on two sites. Ctrl-C ends it.\n")
    console.print("Look at it:")
    click.echo(f"  {url}/?siteId={site_id}#token={token}")
    console.print("\nAsk for it:")
    click.echo(f'  curl "{url}/api/realtime?siteId={site_id}" -H "Authorization: Bearer {token}"')
    console.print("\nWatch it here:")
    click.echo(f"  {sys.argv[0]} watch {site_id} --url {url} --key {token}\n")
