"""`pulsehouse watch`: the live view of all sites or of one, in the terminal."""

import asyncio
import signal
import sys
import time

import httpx
import rich_click as click
from rich.console import Console
from rich.live import Live

from app.cli.keyboard import keyboard
from app.client.all_sites import AllSites
from app.client.ask import NoAnswer, asking, client_options, is_token
from app.client.drawing import count, span
from app.client.heard import FINAL
from app.client.plain_text import clean
from app.client.views import Views
from app.client.watched import Watched
from app.domain.overview import OverviewAnswer
from app.domain.realtime import RealtimeAnswer

WAYS_OUT = {
    None: "is --url right, and the service up?",
    401: "give another token with --key",
    403: "check SITE and --key",
}
"""What to do about an answer that is none, by its status."""
REDRAW_S = 0.25
SHOWN = 3
"""How many pages or sites a line names."""


@click.command()
@click.argument("site", required=False)
@click.option(
    "--url",
    envvar="PULSEHOUSE_URL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Address of the service; also PULSEHOUSE_URL.",
)
@click.option("--key", envvar="PULSEHOUSE_KEY", required=True, help="A token of scope read; also PULSEHOUSE_KEY.")
def watch(site: str | None, url: str, key: str) -> None:
    """Show who is on SITE right now, or on all sites of the token, until q or Ctrl-C.

    Piped, it prints a line every five seconds.
    """
    # As `serve` does: a shell starts what it runs in the background with SIGINT ignored, and SIGTERM would leave
    # the terminal as the screen has it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if not is_token(key):
            raise NoAnswer("this is not a token", status=401)
        asyncio.run(_watch(site, url, key))
    except NoAnswer as error:
        way_out = WAYS_OUT.get(error.status)
        click.echo(f"Error: {error}{f'; {way_out}' if way_out else ''}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        return


async def _watch(site: str | None, url: str, key: str) -> None:
    with asking(url):
        client = httpx.AsyncClient(**client_options(url, key))
    async with client:
        console = Console(highlight=False)
        if console.is_terminal and sys.stdin.isatty():
            await _show_screen(console, client, site)
        else:
            await _print_lines(Watched(client, site) if site is not None else AllSites(client))


async def _print_lines(watched: Watched | AllSites) -> None:
    """Print a line for each answer, for pipes and logs. Raises NoAnswer when the token may not ask any more."""
    line = _line_of(await watched.ask())
    while True:
        if line:
            click.echo(line)
        await asyncio.sleep(max(0.0, watched.next_s - time.monotonic()))
        try:
            line = _line_of(await watched.ask())
        except NoAnswer as error:
            if error.status in FINAL:
                raise
            line = ""
            click.echo(f"{error}; the last answer is {span(watched.age_s)} old", err=True)


def _line_of(answer: RealtimeAnswer | OverviewAnswer) -> str:
    if isinstance(answer, RealtimeAnswer):
        visitors, views, sites = answer.active_visitors, answer.pageviews_last5_min, ""
        busiest = list(answer.page_breakdown.items())
    else:
        total = answer.total
        visitors, views = total.active_visitors, total.pageviews_last5_min
        sites = f"  {total.sites_with_visitors:,} of {count(total.sites, 'site')}"
        busiest = [(site.name, site.active_visitors) for site in answer.sites if site.active_visitors]
    names = "  ".join(f"{clean(name)} {number}" for name, number in busiest[:SHOWN])
    numbers = f"{count(visitors, 'visitor')}  {count(views, 'pageview')}{sites}"
    return f"{answer.timestamp:%Y-%m-%dT%H:%M:%SZ}  {numbers}  {names}".rstrip()


async def _show_screen(console: Console, client: httpx.AsyncClient, site: str | None) -> None:
    """Show the full screen until q. Raises NoAnswer when the token may not ask any more."""
    views = Views(client)
    try:
        await views.open(site)
        with keyboard() as keys, Live(views.screen, console=console, screen=True, auto_refresh=False) as live:
            while True:
                views.require_access()
                live.update(views.screen, refresh=True)
                for key in await keys.keys(REDRAW_S):
                    if not await views.press(key):
                        return
    finally:
        await views.close()
