"""Counts every request by its route, method and status, and how long its answer took to begin."""

import time
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""A path that is no route, or a method that is none of ours: callers may make up as many as they like."""


class Measured:
    """The application, measured."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._counters: dict[tuple[str, str, int], Any] = {}  # looking a counter up by its labels costs more
        self._histograms: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], time.perf_counter() - started_s)
            await send(message)

        await self._app(scope, receive, note)

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
