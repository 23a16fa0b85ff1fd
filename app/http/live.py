"""What people look at: the live page; and what counts them: the tracker, and its pixel for browsers without scripts."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, get, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from app.domain.errors import SiteIdRequired
from app.domain.signals import Signal
from app.http.allowance import Allowance
from app.http.caller import address_of
from app.http.errors import CORS
from app.http.openapi import SITE_ID, answer, described, header, parameter, refusals
from app.http.track import ORIGIN, USER_AGENT, make_rows
from app.store.store import Store

STATIC = Path(__file__).parent.parent / "static"

LIVE_MODULES = ("live/ask.js", "live/draw.js", "live/state.js", "live/text.js")
"""What live.js imports."""

# This keeps style attributes out too; what the page sizes by script goes through the CSSOM, which is allowed.
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
REVALIDATE = {"Cache-Control": "no-cache"}
FROM_ANY_SITE = {**CORS, "Cross-Origin-Resource-Policy": "cross-origin"}
PIXEL_HEADERS = {**FROM_ANY_SITE, "Cache-Control": "no-store"}
ONE_HOUR = {"Cache-Control": "public, max-age=3600"}

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""The smallest transparent GIF."""


def serve_file(path: str, name: str, media_type: str, headers: dict[str, str]) -> HTTPRouteHandler:
    """A handler that answers with a file of app/static, which it reads once, and with 304 to whoever has it already."""
    content = (STATIC / name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    every_answer = {**headers, "ETag": etag, "X-Content-Type-Options": "nosniff"}

    told = {"ETag": header("Names the content"), "Cache-Control": header("How long a copy may be kept")}
    operation = described(
        f"The file {name}",
        {
            200: {"description": "The file", "headers": told, "content": {f"{media_type}; charset=utf-8": {}}},
            304: {"description": "The copy that `If-None-Match` names is current", "headers": told},
            **refusals(),
        },
        parameters=[parameter("If-None-Match", "The ETag of the copy that the caller has", place="header")],
    )

    @route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=operation, name=name)
    async def get_file(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Serve a file of the live page or the tracker."""
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if etag in known or known == ["*"]:
            return Response(b"", status_code=304, headers=every_answer)
        if request.method == HttpMethod.HEAD:
            return Response(b"", media_type=media_type, headers={**every_answer, "Content-Length": str(len(content))})
        return Response(content, status_code=200, media_type=media_type, headers=every_answer)

    return get_file


@get(
    "/api/track.gif",
    opt=described(
        "Count a pageview of a browser without scripts",
        {200: answer("A transparent pixel", {}, PIXEL_HEADERS, "image/gif"), **refusals(400, 403, 404, 429, 503)},
        parameters=[
            SITE_ID,
            parameter("path", "The page; the Referer's path if not given"),
            parameter("Referer", "The page, where no path is given", place="header"),
            USER_AGENT,
            ORIGIN,
        ],
    ),
)
async def get_track_pixel(
    request: Request[Any, Any, Any],
    site_id: Annotated[str | None, QueryParameter(name="siteId")] = None,
    path: Annotated[str | None, QueryParameter()] = None,
) -> Response[bytes]:
    """Store a pageview, as `POST /api/track` does, and answer with a transparent GIF of one pixel."""
    store: Store = request.app.state.store
    allowance: Allowance = request.app.state.allowance
    allowance.spend(address_of(request), signals=1)
    if not site_id or not site_id.strip() or len(request.query_params.getall("siteId")) > 1:
        raise SiteIdRequired
    signal = Signal(site_id=site_id, path=path or request.headers.get("referer"))
    await store.signals.commit(*await make_rows(request, store, [signal], None))
    return Response(PIXEL, media_type="image/gif", headers=PIXEL_HEADERS)


handlers: list[HTTPRouteHandler] = [
    serve_file("/", "index.html", "text/html", {**REVALIDATE, **PAGE_HEADERS}),
    serve_file("/live.css", "live.css", "text/css", REVALIDATE),
    serve_file("/live.js", "live.js", "text/javascript", REVALIDATE),
    *(serve_file(f"/{name}", name, "text/javascript", REVALIDATE) for name in LIVE_MODULES),
    serve_file("/favicon.svg", "favicon.svg", "image/svg+xml", REVALIDATE),
    serve_file("/js/pulse.js", "pulse.js", "text/javascript", {**ONE_HOUR, **FROM_ANY_SITE}),
    get_track_pixel,
]
