"""Counts requests: those under way, and by route, method and status; holds back the answers to those too many."""

import asyncio
import time
from http import HTTPStatus
from typing import Any

from app import metrics

READ_WITHIN_S = 1.0
"""So long the last answers may take to be read, once there is nothing else to do."""

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""A path that is no route, or a method that is none of ours: callers may make up as many as they like."""


class Requests:
    """The requests of an application.

    Those under way tell a worker that stops when its work is done. A server that stops waits for its connections: one
    whose client does not read its answer would hold it back for as long as the client likes.

    A client that asks again as soon as it is refused would keep the worker busy with refusing. So it is told only after
    a while, which is less than the `Retry-After` that it is told.
    """

    def __init__(self, too_many_delay_s: float) -> None:
        self._too_many_delay_s = too_many_delay_s
        self._under_way = 0
        self._one_ended = asyncio.Event()
        # Looking a metric up by its labels costs more than counting.
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._histograms: dict[str, Any] = {}

    def counted(self, app: Any) -> Any:
        """Return the ASGI application, its requests counted."""

        async def count(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            started_s = time.perf_counter()

            async def note(message: Any) -> None:
                if message["type"] == "http.response.start":
                    self._note(scope, message["status"], time.perf_counter() - started_s)
                    if message["status"] == HTTPStatus.TOO_MANY_REQUESTS:
                        await asyncio.sleep(self._too_many_delay_s)
                await send(message)

            self._under_way += 1
            try:
                await app(scope, receive, note)
            finally:
                self._under_way -= 1
                self._one_ended.set()

        return count

    async def ended(self) -> None:
        """Return when nothing is under way."""
        while self._under_way:
            self._one_ended.clear()
            await self._one_ended.wait()

    async def read(self) -> None:
        """Return when nothing is under way, and the last answers have had the time to be read."""
        await self.ended()
        await asyncio.sleep(READ_WITHIN_S)

    def _note(self, scope: Any, status: int, seconds: float) -> None:
        # The router leaves there which route has matched, by then.
        route = scope.get("path_template") or OTHER
        method = scope["method"] if scope["method"] in METHODS else OTHER
        labels = (route, method, int(status))
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters[labels] = metrics.requests.labels(route, method, str(int(status)))
            self._histograms.setdefault(route, metrics.request_seconds.labels(route))
        counter.inc()
        self._histograms[route].observe(seconds)
