"""All sites that a token may read, busiest first, and which of them is chosen."""

import asyncio
import time

import httpx

from app.client.ask import NoAnswer
from app.client.heard import FINAL, Heard
from app.domain.overview import MAX_LIMIT, OverviewAnswer, SiteNow


class AllSites(Heard[OverviewAnswer]):
    """The sites. The chosen one stays chosen while the others move around it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__(client, "/api/realtime/overview", {"limit": str(MAX_LIMIT)}, OverviewAnswer)
        self._chosen = ""

    @property
    def sites(self) -> list[SiteNow]:
        return self.answer.sites if self.answer else []

    @property
    def place(self) -> int:
        """Where the chosen site is in the list; the first one where it is none of them."""
        return next((place for place, site in enumerate(self.sites) if site.site_id == self._chosen), 0)

    @property
    def chosen(self) -> SiteNow | None:
        return self.sites[self.place] if self.sites else None

    def choose(self, site_id: str) -> None:
        self._chosen = site_id

    def move(self, places: int) -> None:
        """Choose the site so many places further down, or the last one that there is on the way."""
        if self.sites:
            self._chosen = self.sites[min(len(self.sites) - 1, max(0, self.place + places))].site_id

    async def follow(self) -> None:
        """Keep the sites up to date. Raises NoAnswer when the token may not ask any more."""
        while True:
            await asyncio.sleep(max(0.0, self.next_s - time.monotonic()))
            try:
                await self.ask()
            except NoAnswer as error:  # whoever looks is shown the trouble
                if error.status in FINAL:
                    raise
