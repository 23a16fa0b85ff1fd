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
from datetime import datetime
from typing import NoReturn

import httpx
import msgspec
import rich_click as click
from rich.align import Align
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.cli.output import clean
from app.http.realtime import RealtimeAnswer

POLL_S = 5.0
TIMEOUT_S = 10.0
WINDOW_S = 300
NARROW_COLUMNS = 76

GLYPHS = {
    "0": "█▀█|█ █|▀▀▀",
    "1": "▄█ | █ |▀▀▀",
    "2": "▀▀█|█▀▀|▀▀▀",
    "3": "▀▀█| ▀█|▀▀▀",
    "4": "█ █|▀▀█|  ▀",
    "5": "█▀▀|▀▀█|▀▀▀",
    "6": "█▀▀|█▀█|▀▀▀",
    "7": "▀▀█|  █|  ▀",
    "8": "█▀█|█▀█|▀▀▀",
    "9": "█▀█|▀▀█|▀▀▀",
    "–": "   |▀▀▀|   ",
}
EIGHTHS = " ▁▂▃▄▅▆▇█"

decode_answer = msgspec.json.Decoder(RealtimeAnswer).decode


class Refused(Exception):
    """The token may not do this; asking again would not help."""


class NoAnswer(Exception):
    """There is no answer now; there may be one later."""

    def __init__(self, reason: str, retry_after_s: float = 0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


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
    if not key.isascii() or not key.isprintable():
        _fail("the token is not valid or has expired; give another one with --key")
    with httpx.Client(timeout=TIMEOUT_S, headers={"Authorization": f"Bearer {key}"}) as client:
        watched = Watched(client, url, site)
        try:
            watched.ask()
        except (Refused, NoAnswer) as error:
            _fail(str(error))
        except KeyboardInterrupt:
            return
        console = Console(highlight=False)
        show = _show_screen if console.is_terminal and sys.stdin.isatty() else _print_lines
        try:
            show(console, watched)
        except KeyboardInterrupt:
            pass
        except Refused as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {clean(message)}", err=True)
    sys.exit(1)


class Watched:
    """A site, what was last heard of it, and how to ask again."""

    def __init__(self, client: httpx.Client, url: str, site: str) -> None:
        self.site = site
        self.answer: RealtimeAnswer | None = None
        self.trouble = ""
        self.next_s = 0.0
        """When to ask again, on the monotonic clock."""
        self._client = client
        self._url = url.rstrip("/")
        self._heard_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds since the answer came."""
        return time.monotonic() - self._heard_s

    @property
    def is_known(self) -> bool:
        """True while the answer's five minutes reach into the present."""
        return self.answer is not None and self.age_s < WINDOW_S

    def ask(self) -> RealtimeAnswer:
        """Return a new answer. Raises Refused or NoAnswer; then the previous one is kept."""
        self.next_s = time.monotonic() + POLL_S
        try:
            self.answer = self._fetch()
        except NoAnswer as error:
            self.trouble = str(error)
            self.next_s = time.monotonic() + max(POLL_S, error.retry_after_s)
            raise
        self.trouble = ""
        self._heard_s = time.monotonic()
        return self.answer

    def _fetch(self) -> RealtimeAnswer:
        try:
            response = self._client.get(f"{self._url}/api/realtime", params={"siteId": self.site})
        except httpx.TimeoutException:
            raise NoAnswer(f"{self._url} did not answer within {TIMEOUT_S:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise NoAnswer(f"cannot reach {self._url} ({type(error).__name__}); is --url right?") from None
        if response.status_code == 401:
            raise Refused("the token is not valid or has expired; give another one with --key")
        if response.status_code == 403:
            raise Refused(f"this token may not read site {self.site}; check SITE and --key")
        if response.status_code != 200:
            retry_after = response.headers.get("retry-after", "")
            raise NoAnswer(
                f"the service answered with {response.status_code}", float(retry_after) if retry_after.isdigit() else 0
            )
        try:
            return decode_answer(response.content)
        except msgspec.DecodeError:
            raise NoAnswer(f"{self._url} does not answer like Pulsehouse; is --url right?") from None


def _print_lines(console: Console, watched: Watched) -> None:
    """Print a line for each answer, for pipes and logs."""
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
            answer = None
            click.echo(f"{clean(str(error))}; the last answer is {span(watched.age_s)} old", err=True)


def _show_screen(console: Console, watched: Watched) -> None:
    """Show the full screen until q; asks in a thread, so that keys and resizing never wait for the network."""
    stop = threading.Event()
    refused: list[Refused] = []

    def poll() -> None:
        while not stop.wait(max(0.0, watched.next_s - time.monotonic())):
            try:
                watched.ask()
            except NoAnswer:
                pass  # the screen shows watched.trouble
            except Refused as error:
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


class Screen:
    """The whole display; drawn anew for the size that the terminal has at that moment."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        width = options.max_width
        watched, answer = self._watched, self._watched.answer
        known = answer if watched.is_known else None
        root = Layout()
        hero = Layout(self._hero(known, width), size=min(7, max(5, height // 3)))
        lists = Layout(name="lists")
        root.split_column(Layout(self._head(), size=2), hero, lists, Layout(self._foot(), size=1))
        room = max(1, height - 2 - (hero.size or 0) - 1 - 3)
        if not known:
            lists.update(Text(""))
        elif not known.active_visitors:
            lists.update(Padding(Text("Nobody here in the last five minutes.", style="dim"), (1, 2)))
        elif width < NARROW_COLUMNS:
            lists.update(pages_table(known, width - 4, room))
        else:
            left = width * 6 // 11
            lists.split_row(
                Layout(pages_table(known, left - 4, room), size=left), Layout(feed_table(known, room, watched.age_s))
            )
        yield root

    def _head(self) -> RenderableType:
        grid = Table.grid(expand=True, padding=(0, 2))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True)
        if self._watched.trouble:
            state = Text(f"○ stale, {span(self._watched.age_s)} old", style="bold red")
        else:
            state = Text.assemble(("●", "yellow"), " live")
        grid.add_row(Text.assemble(("Pulsehouse", "bold"), "  ", (clean(self._watched.site), "dim")), state)
        return Padding(grid, (0, 2))

    def _foot(self) -> RenderableType:
        watched = self._watched
        if not watched.trouble:
            return Padding(Text("q to leave", style="dim"), (0, 2))
        wait_s = max(0.0, watched.next_s - time.monotonic())
        text = Text(f"{watched.trouble}; next try in {span(wait_s)}", style="red", no_wrap=True, overflow="ellipsis")
        return Padding(text, (0, 2))

    def _hero(self, answer: RealtimeAnswer | None, width: int) -> RenderableType:
        style = "dim" if self._watched.trouble else "bold"
        visitors = Text(big(f"{answer.active_visitors}" if answer else "–"), style=style)
        when = f"at {clock(answer.timestamp)}" if answer and self._watched.trouble else "right now"
        caption = Text()
        if answer:
            caption.append(f"{'visitor' if answer.active_visitors == 1 else 'visitors'} {when}\n")
            caption.append(f"{count(answer.pageviews_last5_min, 'pageview')} in the last five minutes", style="dim")
        else:
            caption.append("not known: no answer for more than five minutes", style="dim")
        grid = Table.grid(expand=True, padding=(0, 2))
        grid.add_column(ratio=6)
        number = Table.grid()
        number.add_row(visitors)
        number.add_row("")
        number.add_row(caption)
        cells: list[RenderableType] = [number]
        if answer and width >= NARROW_COLUMNS:
            grid.add_column(ratio=5)
            cells.append(Align.left(minutes_chart(answer, "dim" if self._watched.trouble else "yellow")))
        grid.add_row(*cells)
        return Padding(grid, (0, 2))


def big(number: str) -> str:
    """A number three lines high."""
    return "\n".join(" ".join(GLYPHS.get(digit, GLYPHS["–"]).split("|")[line] for digit in number) for line in range(3))


def minutes_chart(answer: RealtimeAnswer, style: str, rows: int = 4) -> Text:
    """The five minutes as columns of blocks, the one in progress in colour, with numbers and local times."""
    minutes = answer.visitors_per_minute
    most = max(1, *(minute.visitors for minute in minutes))
    text = Text()
    styles = ["dim"] * (len(minutes) - 1) + [style]
    for row in range(rows, 0, -1):
        for minute, colour in zip(minutes, styles, strict=True):
            eighths = round(minute.visitors / most * rows * 8) - (row - 1) * 8
            text.append(EIGHTHS[min(8, max(0, eighths))] * 5 + "  ", style=colour)
        text.append("\n")
    for minute, colour in zip(minutes, styles, strict=True):
        text.append(f"{minute.visitors:^5}  ", style=colour if colour != "dim" else "")
    now = answer.timestamp.timestamp() // 60 * 60
    labels = [f"{datetime.fromtimestamp(now - 60 * age):%H:%M}" for age in range(len(minutes) - 1, 0, -1)] + [" now "]
    text.append("\n" + "  ".join(labels), style="dim")
    return text


def pages_table(answer: RealtimeAnswer, width: int, rows: int) -> RenderableType:
    """Pages with their visitors, each with a bar."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    bar_width = max(4, width // 4)
    table.add_column("Where they are", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=bar_width, no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    pages = list(answer.page_breakdown.items())
    most = max((visitors for _, visitors in pages), default=1)
    shown = pages if len(pages) <= rows else pages[: max(1, rows - 1)]
    for page, visitors in shown:
        bar = Text("━" * max(1, round(visitors / most * bar_width)), style="yellow")
        table.add_row(Text(clean(page)), bar, Text(f"{visitors:,}", style="bold"))
    if len(shown) < len(pages):
        table.add_row(Text(f"and {count(len(pages) - len(shown), 'more page')}", style="dim"), "", "")
    return Padding(table, (1, 2))


def feed_table(answer: RealtimeAnswer, rows: int, age_s: float) -> RenderableType:
    """The newest pageviews: country, page, age."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", width=2, no_wrap=True)
    table.add_column("Newest pageviews", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("", justify="right", no_wrap=True)
    for view in answer.recent_pageviews[:rows]:
        age = (answer.timestamp - view.timestamp).total_seconds() + age_s
        table.add_row(Text(view.country or "--", style="dim"), Text(clean(view.page)), Text(span(age), style="dim"))
    return Padding(table, (1, 2))


def clock(instant: datetime) -> str:
    return f"{instant.astimezone():%H:%M:%S}"


def span(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
