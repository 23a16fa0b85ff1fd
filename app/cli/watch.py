"""`pulsehouse watch`: the live view of a site in the terminal."""

import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import rich_click as click
from rich.console import Console
from rich.live import Live

from app.client.ask import NoAnswer, asking, client_options, is_token
from app.client.plain_text import clean
from app.client.screen import Screen, count, span
from app.client.watched import Watched

WAYS_OUT = {
    None: "is --url right, and the service up?",
    401: "give another token with --key",
    403: "check SITE and --key",
}
"""What to do about an answer that is none, by its status."""
FINAL = (401, 403)
"""The token may not do this; asking again would not help."""


@click.command()
@click.argument("site")
@click.option(
    "--url",
    envvar="PULSEHOUSE_URL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Address of the service; also PULSEHOUSE_URL.",
)
@click.option("--key", envvar="PULSEHOUSE_KEY", required=True, help="A token that may read SITE; also PULSEHOUSE_KEY.")
def watch(site: str, url: str, key: str) -> None:
    """Show who is on SITE right now, until q or Ctrl-C. Piped, it prints a line every five seconds."""
    # As `serve` does: a shell starts what it runs in the background with SIGINT ignored, and SIGTERM would leave
    # the terminal as the screen has it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if not is_token(key):
            raise NoAnswer("this is not a token", status=401)
        with asking(url):
            client = httpx.Client(**client_options(url, key))
        with client:
            watched = Watched(client, site)
            watched.ask()
            console = Console(highlight=False)
            show = _show_screen if console.is_terminal and sys.stdin.isatty() else _print_lines
            show(console, watched)
    except NoAnswer as error:
        way_out = WAYS_OUT.get(error.status)
        click.echo(f"Error: {error}{f'; {way_out}' if way_out else ''}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        return


def _print_lines(console: Console, watched: Watched) -> None:
    """Print a line for each answer, for pipes and logs. Raises NoAnswer when the token may not ask any more."""
    answer = watched.answer
    while True:
        if answer:
            pages = "  ".join(f"{clean(page)} {visitors}" for page, visitors in list(answer.page_breakdown.items())[:3])
            click.echo(
                f"{answer.timestamp:%Y-%m-%dT%H:%M:%SZ}  {count(answer.active_visitors, 'visitor')}"
                f"  {count(answer.pageviews_last5_min, 'pageview')}  {pages}".rstrip()
            )
        time.sleep(max(0.0, watched.next_s - time.monotonic()))
        try:
            answer = watched.ask()
        except NoAnswer as error:
            if error.status in FINAL:
                raise
            answer = None
            click.echo(f"{error}; the last answer is {span(watched.age_s)} old", err=True)


def _show_screen(console: Console, watched: Watched) -> None:
    """Show the full screen until q; asks in a thread, so that keys and resizing never wait for the network.

    Raises NoAnswer when the token may not ask any more.
    """
    stop = threading.Event()
    refused: list[NoAnswer] = []

    def poll() -> None:
        while not stop.wait(max(0.0, watched.next_s - time.monotonic())):
            try:
                watched.ask()
            except NoAnswer as error:  # the screen shows watched.trouble
                if error.status in FINAL:
                    refused.append(error)
                    return

    threading.Thread(target=poll, daemon=True).start()
    try:
        with single_keys(), Live(Screen(watched), console=console, screen=True, auto_refresh=False) as live:
            while not refused:
                live.refresh()
                if key_pressed(0.25) in ("q", "Q", "\x03", "\x04"):
                    return
    finally:
        stop.set()
    raise refused[0]


@contextmanager
def single_keys() -> Iterator[None]:
    """Deliver keys without Enter and without echo."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def key_pressed(within_s: float) -> str:
    """The key pressed within some seconds; empty if none was."""
    if not select.select([sys.stdin], [], [], within_s)[0]:
        return ""
    return sys.stdin.read(1) or "q"  # the terminal is gone
