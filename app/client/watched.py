"""A site that is watched: what was last heard of it, how old that is, and how to ask again."""

import time

import httpx

from app.client.ask import NoAnswer, asking, read_answer
from app.domain.realtime import RealtimeAnswer

POLL_S = 5.0
WINDOW_S = 300


class Watched:
    """A site, what was last heard of it, and how to ask again."""

    def __init__(self, client: httpx.Client, site: str) -> None:
        self.site = site
        self.answer: RealtimeAnswer | None = None
        self.trouble = ""
        self.next_s = 0.0
        """When to ask again, on the monotonic clock."""
        self._client = client
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
        """Return a new answer. Raises NoAnswer; then the previous one is kept."""
        self.next_s = time.monotonic() + POLL_S
        try:
            with asking(self._client.base_url):
                response = self._client.get("/api/realtime", params={"siteId": self.site})
            self.answer = read_answer(response, RealtimeAnswer)
        except NoAnswer as error:
            self.trouble = str(error)
            self.next_s = time.monotonic() + max(POLL_S, error.retry_after_s or 0)
            raise
        self.trouble = ""
        self._heard_s = time.monotonic()
        return self.answer
