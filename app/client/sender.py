"""Sends the page loads of a log to the service, and counts what became of them."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from typing import Literal

import httpx
import msgspec

from app.client.access_log import PageLoad
from app.client.ask import NoAnswer, Tracked, asking, read_answer
from app.domain.signals import TEXT_MAX_CHARACTERS, clean_referrer

RETRIES_MAX = 10
"""How often one batch is sent again after the service said that it did not take it."""
RETRY_AFTER_DEFAULT_S = 1.0
UNCLEAR = "may or may not be stored"

Encoded = msgspec.Raw
"""A signal in JSON: what waits is small, and its size is known."""


class Tally(msgspec.Struct, rename="camel"):
    """What became of the lines of a log.

    lines == malformed + asset + method + status + sent + unsent, and sent == stored + refused_as_bots + failed.
    """

    lines: int = 0
    malformed: int = 0
    asset: int = 0
    method: int = 0
    status: int = 0
    sent: int = 0
    refused_as_bots: int = 0
    stored: int = 0
    failed: int = 0
    unsent: int = 0
    """Page loads read but not sent, because the replay was stopped."""
    seconds: float = 0.0
    first_error: str | None = None

    @property
    def answered(self) -> int:
        return self.stored + self.refused_as_bots


class _Signal(msgspec.Struct, rename="camel"):
    path: str
    referrer: str
    ip: str
    user_agent: str
    type: Literal["pageview"] = "pageview"


class _Batch(msgspec.Struct, rename="camel"):
    site_id: str
    events: Sequence[Encoded]
    batch: bool = True


def encode_signal(page: PageLoad) -> Encoded:
    """Return the signal of a page load, in JSON.

    The service stores no more of a referrer than its host, so no more is sent. A User-Agent is cut as /api/track cuts
    its own header; sent whole, a long one would be refused.
    """
    referrer = clean_referrer(page.referrer)
    if ":" in referrer:
        referrer = f"[{referrer}]"  # an IPv6 address
    signal = _Signal(page.path, referrer, page.ip, page.user_agent[:TEXT_MAX_CHARACTERS])
    return Encoded(msgspec.json.encode(signal))


async def pause(stop: asyncio.Event, duration_s: float) -> None:
    """Sleep; a set `stop` ends it."""
    if duration_s > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), duration_s)


class Sender:
    """Sends batches to one site and counts what became of their signals.

    With `idempotent` each batch has an Idempotency-Key, so that it may be sent again when it is not known whether it is
    stored.
    """

    def __init__(
        self, client: httpx.AsyncClient, site_id: str, tally: Tally, stop: asyncio.Event, *, idempotent: bool = False
    ) -> None:
        self.fatal: str | None = None
        """Why nothing more can be sent: one line with the way out."""
        self._client = client
        self._site_id = site_id
        self._tally = tally
        self._stop = stop
        self._idempotent = idempotent
        self._ways_out = {
            200: "",
            401: "; create a key with: pulsehouse key create --scope write",
            403: f"; the key needs scope write and has to reach site {site_id}",
            404: f"; check --site {site_id}, the key's tenant and --url",
        }
        """After these answers nothing that is sent would be taken; and what to do about it."""

    async def send(self, batch: Sequence[Encoded]) -> None:
        """Send a batch; where a signal is refused, halve it until the refused one is alone."""
        tally = self._tally
        tally.sent += len(batch)
        todo = [batch]
        try:
            while todo and self.fatal is None:
                signals = todo[-1]
                try:
                    stored = await self._deliver(signals)
                except NoAnswer as error:
                    todo.pop()
                    todo += self._refused(signals, error)
                else:
                    todo.pop()
                    tally.stored += stored
                    tally.refused_as_bots += len(signals) - stored
        except asyncio.CancelledError:
            self._fail(todo.pop(), f"stopped before the answer came; {UNCLEAR}")
            raise
        finally:
            rest = sum(map(len, todo))
            tally.sent -= rest
            tally.unsent += rest

    def _refused(self, signals: Sequence[Encoded], error: NoAnswer) -> list[Sequence[Encoded]]:
        """Count what was not taken; return the halves that are to be sent instead."""
        if error.status in (400, 413) and len(signals) > 1:
            half = len(signals) // 2
            return [signals[half:], signals[:half]]
        what = f"{error}; {UNCLEAR}" if error.status is None and error.may_be_done else str(error)
        if error.status in self._ways_out:
            self._give_up(signals, what + self._ways_out[error.status])
        elif error.status is not None and 300 <= error.status < 400:
            self._give_up(signals, what)
        elif error.status is None and not error.may_be_done and not self._tally.answered:
            self._give_up(signals, f"{what}; is the service running there?")
        else:
            self._fail(signals, what)
        return []

    async def _deliver(self, signals: Sequence[Encoded]) -> int:
        """Return how many signals were stored. Raises NoAnswer.

        What the service says it did not take (429, 503) or never got (no connection) is sent again a few times. After
        an unclear failure (time-out, lost connection, unconfirmed commit) it may be stored already, so it is sent again
        with an Idempotency-Key only.
        """
        body = msgspec.json.encode(_Batch(self._site_id, signals))
        headers = {"Content-Type": "application/json"}
        if self._idempotent:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        attempt = 0
        while True:
            try:
                with asking(self._client.base_url):
                    response = await self._client.post("/api/track", content=body, headers=headers)
                return read_answer(response, Tracked).count
            except NoAnswer as error:
                not_taken = error.status in (429, 503) or (error.status is None and self._tally.answered)
                may_repeat = self._idempotent if error.may_be_done else not_taken
                if not may_repeat or attempt == RETRIES_MAX or self._stop.is_set():
                    raise
                wait_s = RETRY_AFTER_DEFAULT_S if error.retry_after_s is None else error.retry_after_s
            await pause(self._stop, wait_s)
            attempt += 1

    def _fail(self, signals: Sequence[Encoded], error: str) -> None:
        self._tally.failed += len(signals)
        self._tally.first_error = self._tally.first_error or error

    def _give_up(self, signals: Sequence[Encoded], error: str) -> None:
        self._fail(signals, error)
        self.fatal = self.fatal or error
        self._stop.set()
