"""How the terminal shows a site: its number, how it went for 30 minutes, and where the visitors are and come from."""

from datetime import timedelta

from rich.align import Align
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.client.drawing import big, clock, columns, count, foot, head, list_of, shares, span, why_unknown
from app.client.heard import Heard
from app.client.plain_text import clean
from app.client.watched import Watched
from app.domain.realtime import BreakdownAnswer, RealtimeAnswer

NARROW_COLUMNS = 76
WIDE_COLUMNS = 100
TALL_ROWS = 32
FEED_ROWS = 8
TABS = ("Pages", "Sources", "Countries", "Newest")
KEYS = "q leave   Esc all sites"


class Screen:
    """The whole display; drawn anew for the size that the terminal has at that moment."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._tab = 0

    def turn(self, places: int) -> None:
        """Show another list, where there is room for one alone."""
        self._tab = (self._tab + places) % len(TABS)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        width = options.max_width
        watched = self.watched
        known = watched.answer if watched.is_known else None
        root = Layout()
        hero = Layout(self._hero(known, width), size=min(7, max(5, height // 3)))
        lists = Layout(name="lists")
        keys = KEYS if width >= WIDE_COLUMNS else f"{KEYS}   ←→ {', '.join(TABS).lower()}"
        root.split_column(Layout(head(watched.site, watched), size=2), hero, lists, Layout(foot(keys, watched), size=1))
        room = height - 2 - (hero.size or 0) - 1
        if not known:
            lists.update(Text(""))
        elif not known.active_visitors:
            lists.update(Padding(Text("Nobody here in the last five minutes.", style="dim"), (1, 2)))
        elif width < WIDE_COLUMNS:
            lists.update(self._tabs(known, max(1, room - 3)))
        else:
            tall = height >= TALL_ROWS
            rows = max(1, room - 2 - (FEED_ROWS + 3 if tall else 0))
            parts = [
                Layout(Padding(part, (1, 2)), ratio=(5, 5, 4)[place])
                for place, part in enumerate(self._parts(known, rows))
            ]
            if tall:
                above, below = Layout(), Layout(Padding(self._feed(known, FEED_ROWS), (1, 2)), size=FEED_ROWS + 3)
                above.split_row(*parts)
                lists.split_column(above, below)
            else:
                lists.split_row(*parts)
        yield root

    def _hero(self, answer: RealtimeAnswer | None, width: int) -> RenderableType:
        stale = not self.watched.is_live
        visitors = Text(big(f"{answer.active_visitors}" if answer else "–"), style="dim" if stale else "bold")
        when = f"at {clock(answer.timestamp)}" if answer and stale else "right now"
        caption = Text()
        if answer:
            caption.append(f"{'visitor' if answer.active_visitors == 1 else 'visitors'} {when}\n")
            caption.append(f"{count(answer.pageviews_last5_min, 'pageview')} in the last five minutes", style="dim")
        else:
            caption.append(why_unknown(self.watched), style="dim")
        grid = Table.grid(expand=True, padding=(0, 2))
        grid.add_column(ratio=5)
        number = Table.grid()
        number.add_row(visitors)
        number.add_row("")
        number.add_row(caption)
        cells: list[RenderableType] = [number]
        if answer and width >= NARROW_COLUMNS:
            grid.add_column(ratio=6)
            room = (width - 6) * 6 // 11
            cells.append(Align.right(self._course(answer, room)))
        grid.add_row(*cells)
        return Padding(grid, (0, 2))

    def _course(self, answer: RealtimeAnswer, room: int) -> Text:
        """The active visitors of 30 minutes as columns; the present one, which is not over, in colour."""
        course = self.watched.course()
        if not course:
            return Text("30 minutes: not known", style="dim")
        wide = 2 if room >= 2 * len(course) else 1
        now = "yellow" if self.watched.is_live else "dim"
        text = columns(course, 4, ["dim"] * (len(course) - 1) + [now], wide)
        first = answer.timestamp - timedelta(minutes=len(course) - 1)
        middle = f"most {max(course):,}"
        ends = (
            f"{first.astimezone():%H:%M}",
            "now" if self.watched.is_live else f"{answer.timestamp.astimezone():%H:%M}",
        )
        gap = max(2, len(course) * wide - len(middle) - sum(map(len, ends)))
        text.append(f"\n{ends[0]}{' ' * (gap // 2)}{middle}{' ' * (gap - gap // 2)}{ends[1]}", style="dim")
        return text

    def _parts(self, answer: RealtimeAnswer, rows: int) -> list[Table]:
        watched = self.watched
        whole = answer.active_visitors
        pages = list(answer.page_breakdown.items())
        return [
            shares("Pages", pages, "", whole, rows),
            _breakdown("Sources", watched.sources, "direct or not known", rows),
            _breakdown("Countries", watched.countries, "not known", rows),
        ]

    def _tabs(self, answer: RealtimeAnswer, rows: int) -> RenderableType:
        names = Text(no_wrap=True, overflow="ellipsis")
        for place, name in enumerate(TABS):
            names.append(name, style="bold underline" if place == self._tab else "dim").append("  ")
        lists = [*self._parts(answer, rows), self._feed(answer, rows)]
        shown = lists[self._tab]
        shown.show_header = self._tab in (1, 2) and shown.row_count == 0  # which says why
        grid = Table.grid(expand=True)
        grid.add_row(names)
        grid.add_row(shown)
        return Padding(grid, (1, 2, 0, 2))

    def _feed(self, answer: RealtimeAnswer, rows: int) -> Table:
        """The newest pageviews: page, country, age."""
        table = list_of("Newest pageviews", "", "")
        for view in answer.recent_pageviews[:rows]:
            age = (answer.timestamp - view.timestamp).total_seconds() + self.watched.since_answer_s
            table.add_row(
                Text(clean(view.page)), Text(clean(view.country or "--"), style="dim"), Text(span(age), style="dim")
            )
        return table


def _breakdown(title: str, part: Heard[BreakdownAnswer], none: str, rows: int) -> Table:
    answer = part.answer if part.is_known else None
    if answer is None:
        return list_of(f"{title}: not known" if part.trouble else title)
    when = f" at {clock(answer.timestamp)}" if part.trouble else ""
    values = [(share.value, share.visitors) for share in answer.breakdown]
    return shares(title + when, values, none, answer.active_visitors, rows)
