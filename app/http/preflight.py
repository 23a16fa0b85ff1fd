"""What a browser asks before a request from another origin, and the answer: it may."""

from http import HTTPStatus

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.answers import CORS, Answer
from app.http.openapi import answer, described


def allow_preflight(path: str, methods: str, headers: str, *, name: str | None = None) -> HTTPRouteHandler:
    """A handler that allows a path's methods and request headers, for two hours.

    It goes before the path's other handlers: Litestar adds its own OPTIONS handler to a path that has none yet.
    """
    allowed = {
        **CORS,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": "7200",
    }
    operation = described("May a page of another origin ask?", {204: answer("It may", None, allowed)})

    @route(
        path,
        http_method=["OPTIONS"],
        opt=operation,
        name=name or path.rpartition("/")[2],
    )
    async def answer_preflight() -> Response[None]:
        """Allow a request from any origin."""
        return Answer(b"", None, allowed, status=HTTPStatus.NO_CONTENT)

    return answer_preflight
