"""What whoever watches sees: all sites or one of them, and what the keys do there."""

import asyncio

import httpx

from app.client.all_sites import AllSites
from app.client.ask import NoAnswer
from app.client.screen import Screen
from app.client.sites_screen import SitesScreen
from app.client.watched import Watched

MOVES = {"up": -1, "k": -1, "down": 1, "j": 1}
TURNS = {"left": -1, "right": 1, "tab": 1}
NO_SITE = "this token may read no site"


class Views:
    """The screens of one token. What is shown is kept up to date, and nothing else."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.screen: Screen | SitesScreen
        self._client = client
        self._sites = AllSites(client)
        self._following: asyncio.Task[None] | None = None

    async def open(self, site: str | None) -> None:
        """Show a site, or all; of a token of one site that one. Raises NoAnswer when there is nothing to show."""
        if site is None:
            total = (await self._sites.ask()).total
            if not total.sites:
                raise NoAnswer(NO_SITE, status=403)
            site = self._sites.sites[0].site_id if total.sites == 1 else None
        if site is None:
            self._show_all()
        else:
            watched = Watched(self._client, site)
            await watched.ask()
            self._show(watched)

    async def press(self, key: str) -> bool:
        """Do what a key says; False for leaving."""
        if key in ("q", "Q", "ctrl-c", "ctrl-d"):
            return False
        if isinstance(self.screen, Screen):
            if key in ("esc", "backspace"):
                self._sites.choose(self.screen.watched.site)
                self._show_all()
            elif key in TURNS:
                self.screen.turn(TURNS[key])
            return True
        page = self.screen.page_rows
        moves = {
            **MOVES,
            "page up": -page,
            "page down": page,
            "home": -len(self._sites.sites),
            "end": len(self._sites.sites),
        }
        if key in moves:
            self._sites.move(moves[key])
        elif key == "enter" and self._sites.chosen:
            self._show(Watched(self._client, self._sites.chosen.site_id))
        return True

    def require_access(self) -> None:
        """Raise NoAnswer when the token may not ask any more for what is shown."""
        if self._following and self._following.done():
            self._following.result()

    async def close(self) -> None:
        """Ask for nothing any more."""
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _show_all(self) -> None:
        self.screen = SitesScreen(self._sites)
        self._follow(self._sites)

    def _show(self, watched: Watched) -> None:
        self.screen = Screen(watched)
        self._follow(watched)

    def _follow(self, shown: Watched | AllSites) -> None:
        if self._following:
            self._following.cancel()
        self._following = asyncio.create_task(shown.follow())
