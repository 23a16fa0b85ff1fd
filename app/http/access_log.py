"""The access log: a line for every request, without what tells who asked and for what, unless that is wanted."""

import logging
import time
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.http.caller import KEY_ID
from app.http.requests import METHODS, OTHER

log = logging.getLogger("pulsehouse.access")


class AccessLog:
    """The application, each request logged once its answer has ended or its client has gone.

    A line has method, route, status (`-` where none was sent), milliseconds to the end of the answer, bytes of its
    body, and the id of the key. With `whole` also the client's address and the request's path and query. Never a token.
    """

    def __init__(self, app: ASGIApp, *, whole: bool) -> None:
        self._app = app
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        status: int | None = None
        sent_bytes = 0

        async def note(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = int(message["status"])
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._log(scope, status, time.perf_counter() - started_s, sent_bytes)

    def _log(self, scope: Any, status: int | None, seconds: float, sent_bytes: int) -> None:
        fields: dict[str, object] = {
            "method": scope["method"] if scope["method"] in METHODS else OTHER,
            "route": scope.get("path_template") or OTHER,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "bytes": sent_bytes,
            "key": scope["state"].get(KEY_ID),
        }
        if self._whole:
            query = scope["query_string"].decode("latin-1")
            fields["address"] = scope["client"][0] if scope["client"] else None
            fields["target"] = scope["path"] + (f"?{query}" if query else "")
        units = {"duration_ms": "{} ms", "bytes": "{} bytes"}
        shown = (units.get(name, "{}").format("-" if value is None else value) for name, value in fields.items())
        log.info("%s", " ".join(shown), extra={"fields": fields})
