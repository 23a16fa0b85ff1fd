"""How the terminal shows all sites: the busiest first, and the one that is chosen."""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.client.all_sites import AllSites
from app.client.drawing import big, clock, columns, count, foot, head, list_of, why_unknown
from app.client.plain_text import clean
from app.domain.overview import OverviewAnswer

NARROW_COLUMNS = 60
KEYS = "↑↓ choose   Enter open   q leave"


class SitesScreen:
    """The whole display; drawn anew for the size that the terminal has at that moment."""

    def __init__(self, sites: AllSites) -> None:
        self.sites = sites
        self.page_rows = 10
        """How many sites there was room for, when it was drawn last."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        sites = self.sites
        known = sites.answer if sites.is_known else None
        root = Layout()
        hero = Layout(self._hero(known), size=min(7, max(5, height // 3)))
        self.page_rows = max(1, height - 2 - (hero.size or 0) - 4)
        shown = self._list(known, options.max_width) if known else Text("")
        root.split_column(
            Layout(head("all sites", sites), size=2), hero, Layout(shown), Layout(foot(KEYS, sites), size=1)
        )
        yield root

    def _hero(self, answer: OverviewAnswer | None) -> RenderableType:
        stale = not self.sites.is_live
        caption = Text()
        if answer:
            total = answer.total
            when = f"at {clock(answer.timestamp)}" if stale else "right now"
            where = f"{total.sites_with_visitors:,} of {count(total.sites, 'site')}"
            caption.append(f"{'visitor' if total.active_visitors == 1 else 'visitors'} on {where} {when}\n")
            caption.append(f"{count(total.pageviews_last5_min, 'pageview')} in the last five minutes", style="dim")
        else:
            caption.append(why_unknown(self.sites), style="dim")
        grid = Table.grid()
        grid.add_row(Text(big(f"{answer.total.active_visitors}" if answer else "–"), style="dim" if stale else "bold"))
        grid.add_row("")
        grid.add_row(caption)
        return Padding(grid, (0, 2))

    def _list(self, answer: OverviewAnswer, width: int) -> RenderableType:
        wide = width >= NARROW_COLUMNS
        table = list_of("  Site", "5 min", "Visitors", *(["Pageviews"] if wide else []))
        place, sites = self.sites.place, answer.sites
        cut = answer.total.sites - len(sites)
        first = min(max(0, place - self.page_rows // 2), max(0, len(sites) - self.page_rows))
        for number, site in enumerate(sites[first : first + self.page_rows], first):
            chosen = number == place
            style = "bold" if chosen else "" if site.active_visitors else "dim"
            name = Text.assemble(("› " if chosen else "  ", "yellow"), (clean(site.name or site.domain), style))
            if wide and site.domain != site.name:
                name.append(f"  {clean(site.domain)}", style="dim")
            minutes = columns(site.visitors_per_minute, 1, ["dim"] * 4 + ["yellow"])
            cells = [name, minutes, Text(f"{site.active_visitors:,}", style="bold" if site.active_visitors else "dim")]
            table.add_row(*cells, *([Text(f"{site.pageviews_last5_min:,}", style="dim")] if wide else []))
        if cut > 0 and first + self.page_rows >= len(sites):
            table.add_row(Text(f"  and {count(cut, 'site')} with fewer visitors", style="dim"))
        return Padding(table, (1, 2, 0, 2))
