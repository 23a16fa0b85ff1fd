"""What the screens of the terminal are drawn with: large numbers, blocks, bars, and words for times and numbers."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.client.heard import Heard
from app.client.plain_text import clean

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


def big(number: str) -> str:
    """A number three lines high."""
    return "\n".join(" ".join(GLYPHS.get(digit, GLYPHS["–"]).split("|")[line] for digit in number) for line in range(3))


def columns(values: Sequence[int], rows: int, styles: Sequence[str], width: int = 1) -> Text:
    """Values as columns of blocks, so many rows high and each so wide; what is not nothing is seen.

    A little room is left above the highest, so that what stands in the line before does not run into it.
    """
    most = max(1, *values)
    text = Text()
    for row in range(rows, 0, -1):
        for value, style in zip(values, styles, strict=True):
            eighths = max(1 if value else 0, round(value / most * (rows * 8 - 1))) - (row - 1) * 8
            text.append(EIGHTHS[min(8, max(0, eighths))] * width, style=style)
        if row > 1:
            text.append("\n")
    return text


def list_of(*headings: str) -> Table:
    """An empty table in the manner of all: a heading that fills the row, and columns of numbers behind it."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    first, *others = headings
    table.add_column(first, ratio=1, no_wrap=True, overflow="ellipsis")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def shares(title: str, rows: Sequence[tuple[str | None, int]], none: str, whole: int, room: int, bar: int = 5) -> Table:
    """Values with their visitors and the part of all visitors that they are, in `room` lines."""
    table = list_of(title, "", "", "")
    table.columns[1].justify = "left"
    table.columns[1].width = bar
    shown = rows if len(rows) <= room else rows[: max(1, room - 1)]
    for value, visitors in shown:
        name = Text(none, style="dim italic") if value is None else Text(clean(value))
        halves = max(1, round(2 * bar * min(visitors, whole) / max(1, whole)))
        table.add_row(
            name,
            Text("━" * (halves // 2) + "╸" * (halves % 2), style="yellow"),
            Text(f"{visitors:,}", style="bold"),
            Text(percent(visitors, whole), style="dim"),
        )
    if len(shown) < len(rows):
        table.add_row(Text(f"and {len(rows) - len(shown):,} more", style="dim"), "", "", "")
    return table


def head(title: str, heard: Heard[Any]) -> RenderableType:
    """The first lines of a screen: what it shows, and whether that is of now."""
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    if heard.is_live:
        state = Text.assemble(("●", "yellow"), " live")
    elif heard.answer is None:
        state = Text("○ no answer", style="bold red") if heard.trouble else Text("○ asking", style="dim")
    else:
        state = Text(f"○ stale, {span(heard.age_s)} old", style="bold red")
    grid.add_row(Text.assemble(("Pulsehouse", "bold"), "  ", (clean(title), "dim")), state)
    return Padding(grid, (0, 2))


def foot(keys: str, heard: Heard[Any]) -> RenderableType:
    """The last line: the keys, or why there is no answer and when the next try is."""
    if not heard.trouble:
        return Padding(Text(keys, style="dim", no_wrap=True, overflow="ellipsis"), (0, 2))
    wait_s = max(0.0, heard.next_s - time.monotonic())
    text = Text(f"{heard.trouble}; next try in {span(wait_s)}", style="red", no_wrap=True, overflow="ellipsis")
    return Padding(text, (0, 2))


def why_unknown(heard: Heard[Any]) -> str:
    """Why there is no number."""
    if heard.answer is None:
        return "not known: no answer yet" if heard.trouble else "asking"
    return "not known: no answer for more than five minutes"


def clock(instant: datetime) -> str:
    return f"{instant.astimezone():%H:%M:%S}"


def span(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """A part of a whole; what is there at all is never 0 %."""
    share = 100 * part / whole if whole else 0
    return "<1%" if 0 < share < 0.5 else f"{share:.0f}%"
