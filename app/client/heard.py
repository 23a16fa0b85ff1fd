"""What was last heard of something, how old that is, and when to ask again."""

import time
from typing import Generic, TypeVar

import httpx

from app.client.ask import NoAnswer, asking, read_answer

Answer = TypeVar("Answer")

POLL_S = 5.0
WINDOW_S = 300
"""Numbers older than the window that they speak of are not shown."""
LATE_S = 40.0
"""What is followed is heard of much more often; older numbers are not called live."""
FINAL = (401, 403)
"""The token may not do this; asking again would not help."""


class Heard(Generic[Answer]):
    """The last answer of an address, kept while there is no newer one."""

    def __init__(self, client: httpx.AsyncClient, path: str, parameters: dict[str, str], kind: type[Answer]) -> None:
        self.answer: Answer | None = None
        self.trouble = ""
        """Why there is no newer answer; empty where the answer is of now."""
        self.next_s = 0.0
        """When to ask again, on the monotonic clock."""
        self._client = client
        self._path, self._parameters, self._kind = path, parameters, kind
        self._answered_s = self._heard_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds since it was known that the answer holds."""
        return time.monotonic() - self._heard_s

    @property
    def since_answer_s(self) -> float:
        """Seconds since the answer came, which may have been confirmed later."""
        return time.monotonic() - self._answered_s

    @property
    def is_known(self) -> bool:
        """True while the answer's five minutes reach into the present."""
        return self.answer is not None and self.age_s < WINDOW_S

    @property
    def is_live(self) -> bool:
        """True while the answer is of now."""
        return self.answer is not None and not self.trouble and self.age_s < LATE_S

    async def ask(self) -> Answer:
        """Return a new answer. Raises NoAnswer; then the previous one is kept."""
        self.next_s = time.monotonic() + POLL_S
        try:
            with asking(self._client.base_url):
                response = await self._client.get(self._path, params=self._parameters)
            answer = read_answer(response, self._kind)
        except NoAnswer as error:
            self.trouble = str(error)
            self.next_s = time.monotonic() + max(POLL_S, error.retry_after_s or 0)
            raise
        self.take(answer)
        return answer

    def take(self, answer: Answer) -> None:
        """Remember an answer that has just come."""
        self.answer = answer
        self._answered_s = time.monotonic()
        self.confirm()

    def confirm(self) -> None:
        """The answer still holds."""
        self.trouble = ""
        self._heard_s = time.monotonic()
