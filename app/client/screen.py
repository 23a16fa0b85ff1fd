"""How the terminal shows a site: the whole screen, and the words for times and numbers."""

import time
from datetime import datetime

from rich.align import Align
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.client.plain_text import clean
from app.client.watched import Watched
from app.domain.realtime import RealtimeAnswer

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
