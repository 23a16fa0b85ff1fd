"""The files that browsers load: the live page, the API reference's looks, and the tracker."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.answers import CORS, Answer
from app.http.caller import Request
from app.http.openapi import described, header, parameter, refusals

STATIC = Path(__file__).parent.parent / "static"

LIVE_MODULES = sorted(f"live/{path.name}" for path in (STATIC / "live").glob("*.js"))
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
# What other sites put into their pages: the same, but for who may frame it.
EMBED_HEADERS = {
    **PAGE_HEADERS,
    "Content-Security-Policy": PAGE_POLICY.replace("frame-ancestors 'none'", "frame-ancestors *"),
}
REVALIDATE = {"Cache-Control": "no-cache"}
FROM_ANY_SITE = {**CORS, "Cross-Origin-Resource-Policy": "cross-origin"}
HTML, CSS, JAVASCRIPT = (f"text/{kind}; charset=utf-8" for kind in ("html", "css", "javascript"))
ONE_HOUR = {"Cache-Control": "public, max-age=3600"}


def serve_file(path: str, name: str, media_type: str, headers: dict[str, str]) -> HTTPRouteHandler:
    """A handler that answers with a file of app/static, which it reads once, and with 304 to whoever has it already."""
    return serve_content(path, name, (STATIC / name).read_bytes(), media_type, headers)


def serve_content(path: str, name: str, content: bytes, media_type: str, headers: dict[str, str]) -> HTTPRouteHandler:
    """A handler that answers with the same content always, and with 304 to whoever has it already."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    every_answer = {**headers, "ETag": etag, "X-Content-Type-Options": "nosniff"}

    told = {"ETag": header("Names the content"), "Cache-Control": header("How long a copy may be kept")}
    operation = described(
        f"The file {name}",
        {
            200: {"description": "The file", "headers": told, "content": {media_type: {}}},
            304: {"description": "The copy that `If-None-Match` names is current", "headers": told},
            **refusals(),
        },
        parameters=[parameter("If-None-Match", "The ETag of the copy that the caller has", place="header")],
    )

    @route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=operation, name=name)
    async def get_file(request: Request) -> Response[bytes]:
        """Serve a page, a file of one, or the tracker."""
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if etag in known or known == ["*"]:
            return Answer(b"", None, every_answer, status=HTTPStatus.NOT_MODIFIED)
        return Answer(content, media_type, every_answer)

    return get_file


STATIC_HANDLERS: list[HTTPRouteHandler] = [
    serve_file("/", "index.html", HTML, {**REVALIDATE, **PAGE_HEADERS}),
    serve_file("/live.css", "live.css", CSS, REVALIDATE),
    serve_file("/live.js", "live.js", JAVASCRIPT, REVALIDATE),
    *(serve_file(f"/{name}", name, JAVASCRIPT, REVALIDATE) for name in LIVE_MODULES),
    serve_file("/embed", "embed.html", HTML, {**REVALIDATE, **EMBED_HEADERS}),
    serve_file("/embed.css", "embed.css", CSS, REVALIDATE),
    serve_file("/embed.js", "embed.js", JAVASCRIPT, REVALIDATE),
    serve_file("/docs.css", "docs.css", CSS, REVALIDATE),
    serve_file("/favicon.svg", "favicon.svg", "image/svg+xml", REVALIDATE),
    *(
        serve_file(f"/js/{name}", name, JAVASCRIPT, {**ONE_HOUR, **FROM_ANY_SITE})
        for name in ("pulse.js", "pulse-debug.js")
    ),
]
