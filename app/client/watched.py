"""A site that is watched: its live answer, pushed or polled, how that went for 30 minutes, and its parts."""

import asyncio
import time

import httpx
import msgspec

from app.client.ask import NoAnswer, asking, read_answer
from app.client.heard import FINAL, POLL_S, Heard
from app.client.pushed import Event, messages
from app.domain.realtime import BreakdownAnswer, HistoryAnswer, RealtimeAnswer, start_of_minute

PATIENCE_S = 3.0
"""A stream says something at once; a proxy that holds it back does not."""
SILENCE_S = 25.0
"""Afterwards it says something every 15 s."""
PUSH_AGAIN_S = 300.0
MINUTES = 30


class Watched(Heard[RealtimeAnswer]):
    """A site. What goes with its answer is kept beside it, each as it was heard last."""

    def __init__(self, client: httpx.AsyncClient, site: str) -> None:
        here = {"siteId": site}
        super().__init__(client, "/api/realtime", here, RealtimeAnswer)
        self.site = site
        path = "/api/realtime/breakdown"
        self.sources = Heard(client, path, {**here, "by": "referrer"}, BreakdownAnswer)
        self.countries = Heard(client, path, {**here, "by": "country"}, BreakdownAnswer)
        self.history = Heard(client, "/api/realtime/history", {**here, "minutes": str(MINUTES)}, HistoryAnswer)

    def course(self) -> list[int]:
        """The active visitors of the last minutes, oldest first, up to those of the answer; empty where not known."""
        if not (self.answer and self.history.answer and self.history.is_known):
            return []
        now = start_of_minute(self.answer.timestamp)
        earlier = [point.active_visitors for point in self.history.answer.points if point.minute < now]
        return [*earlier, self.answer.active_visitors][-MINUTES:]

    async def ask_parts(self) -> None:
        """Ask for all that goes with the answer. Each keeps what it was, and its trouble, where there is no answer."""
        parts = (self.history, self.sources, self.countries)
        await asyncio.gather(*(part.ask() for part in parts), return_exceptions=True)

    async def follow(self) -> None:
        """Keep everything up to date. Raises NoAnswer when the token may not ask any more."""
        parts = asyncio.create_task(self._follow_parts())
        try:
            await self._follow_answer()
        finally:
            parts.cancel()

    async def _follow_parts(self) -> None:
        while True:
            await self.ask_parts()
            until_s = max(part.next_s for part in (self.history, self.sources, self.countries))
            await asyncio.sleep(max(0.0, until_s - time.monotonic()))

    async def _follow_answer(self) -> None:
        push_from_s = 0.0
        while True:
            await asyncio.sleep(max(0.0, self.next_s - time.monotonic()))
            if not self.trouble and time.monotonic() >= push_from_s:
                if await self._push():
                    continue
                push_from_s = time.monotonic() + PUSH_AGAIN_S
            try:
                await self.ask()
            except NoAnswer as error:  # whoever looks is shown the trouble
                if error.status in FINAL:
                    raise

    async def _push(self) -> bool:
        """Take what is pushed until that ends; tell whether to try again at the time that next_s has then."""
        heard = False
        path, timeout = "/api/realtime/stream", httpx.Timeout(15, connect=5, read=SILENCE_S + POLL_S)
        try:
            async with asyncio.timeout(PATIENCE_S) as patience:
                with asking(self._client.base_url):
                    async with self._client.stream("GET", path, params=self._parameters, timeout=timeout) as response:
                        if response.status_code != 200:
                            await response.aread()
                            read_answer(response, type(None))
                        async for message in messages(response):
                            if message.event == "error":
                                return False  # a poll learns how long to wait
                            patience.reschedule(asyncio.get_running_loop().time() + SILENCE_S)
                            if message.event == "realtime":
                                heard = True
                                self.take(msgspec.json.decode(message.data, type=Event).answer)
                                self.next_s = time.monotonic() + POLL_S
                            elif message.retry_s is not None:
                                self.next_s = time.monotonic() + message.retry_s
                            elif heard:
                                self.confirm()
        except (NoAnswer, TimeoutError, msgspec.DecodeError):
            return False
        return heard
