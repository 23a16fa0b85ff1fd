"""The OpenAPI document: each handler describes itself in its `opt`, next to its code; this puts the parts together.

The schemas are made from the types that the handlers decode and encode, so the two cannot differ.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.http.answers import DEFECT, EVERY_ANSWER, EXPOSED, STATUS, STORED, Answer, Error

PATH = "/openapi/openapi.json"
MEDIA_TYPE = "application/vnd.oai.openapi+json"
SCHEMA = "#/components/schemas/{name}"
REFUSAL = "#/components/responses/{name}"

ABOUT = """Who is on my site right now?

A path that is not named here is answered 404, a method that is not named for a path 405 with `Allow`. Every error of
every path is a JSON object with one string, `error`; only a request whose first line and headers are too long is
answered without a body, 431."""

Json = dict[str, Any]

_PARAMETER = re.compile(r"{(\w+):\w+}")
"""How Litestar writes a parameter of a path: with its type, which OpenAPI keeps elsewhere."""

TOKEN: list[Json] = [{"token": []}]
TOKEN_OR_NONE: list[Json] = [{}, {"token": []}]


def header(description: str, kind: str = "string", **more: Any) -> Json:
    """The description of a header that an answer always carries."""
    return {"description": description, "required": True, "schema": {"type": kind, **more}}


def fixed_headers(headers: Mapping[str, str]) -> Json:
    """The description of headers whose value is always the same."""
    return {name: {"required": True, "schema": {"type": "string", "const": value}} for name, value in headers.items()}


def parameter(name: str, description: str, *, place: str = "query", required: bool = False, **more: Any) -> Json:
    """The description of a parameter, text unless `type` says otherwise."""
    return {
        "name": name,
        "in": place,
        "description": description,
        "required": required,
        "schema": {"type": "string", **more},
    }


def answer(
    description: str,
    schema: Any = None,
    headers: Mapping[str, str] = EVERY_ANSWER,
    media_type: str = "application/json",
) -> Json:
    """The description of an answer; `schema` is a type, a JSON schema, or None for an answer without a body."""
    content = {} if schema is None else {"content": {media_type: {"schema": schema}}}
    return {"description": description, "headers": fixed_headers(headers), **content}


RETRY_AFTER = header("Seconds to wait", "integer", minimum=1)
HEADERS_OF_AN_ERROR = {
    401: {"WWW-Authenticate": header("The scheme", const="Bearer")},
    429: {
        "Retry-After": RETRY_AFTER,
        "X-RateLimit-Limit": header("Signals, or requests of a key, allowed per minute", "integer"),
        "X-RateLimit-Remaining": header("How many are left in this minute", "integer"),
        "X-RateLimit-Reset": header("When the next minute begins, Unix seconds", "integer"),
    },
    503: {"Retry-After": RETRY_AFTER},
}


def refusals(*statuses: int) -> dict[int, Json]:
    """The descriptions of these errors, and of 500, which any endpoint answers when the service has a defect."""
    return {status: {"$ref": REFUSAL.format(name=f"Error{status}")} for status in (*statuses, int(DEFECT))}


def unclear_refusal() -> dict[int, Json]:
    """The description of a 503 of a call that stores signals: it tells whether it may have."""
    told = _refusal(HTTPStatus.SERVICE_UNAVAILABLE)
    stored = header("Whether the signals are stored all the same", enum=["no", "unknown"])
    return {503: {**told, "headers": {**told["headers"], STORED: stored}}}


def _refusal(status: HTTPStatus) -> Json:
    described = answer(status.phrase, Error, {**EVERY_ANSWER, **EXPOSED})
    return {**described, "headers": {**described["headers"], **HEADERS_OF_AN_ERROR.get(status, {})}}


def described(summary: str, responses: Mapping[int, Json], **more: Any) -> Json:
    """The `opt` of a handler: its operation in the words of OpenAPI, with types in the place of schemas."""
    by_status = {str(status): told for status, told in responses.items()}
    return {"operation": {"summary": summary, "responses": by_status, **more}}


SITE_ID = parameter("siteId", "The site", required=True, minLength=1, pattern=r"\S")


def make_document(handlers: Iterable[HTTPRouteHandler]) -> bytes:
    """The document of the handlers, as JSON. Raises KeyError for one that does not describe itself."""
    types: dict[str, Any] = {}

    def refer(kind: Any) -> Json:
        types[kind.__name__] = kind
        return {"$ref": SCHEMA.format(name=kind.__name__)}

    paths: dict[str, Json] = {}
    for handler in handlers:
        for path in (_PARAMETER.sub(r"{\1}", path) for path in sorted(handler.paths)):
            for method in sorted(handler.http_methods):
                name = re.sub(r"\W", "_", handler.name or handler.handler_name.partition("_")[2])
                operation = {
                    "operationId": f"{method.lower()}_{name}",
                    "description": handler.fn.__doc__,
                    **handler.opt["operation"],
                }
                paths.setdefault(path, {})[method.lower()] = operation
    responses = {f"Error{int(status)}": _refusal(status) for status in sorted({*STATUS.values(), DEFECT})}
    plain = msgspec.to_builtins({"paths": paths, "responses": responses}, enc_hook=refer)
    _, schemas = msgspec.json.schema_components(types.values(), ref_template=SCHEMA)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Pulsehouse", "version": version("pulsehouse"), "description": ABOUT},
        "paths": plain["paths"],
        "components": {
            "schemas": schemas,
            "responses": plain["responses"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(document)


def serve_document(handlers: Iterable[HTTPRouteHandler]) -> HTTPRouteHandler:
    """A handler that answers with the document of the other handlers, and of itself."""

    @get(
        PATH,
        opt=described(
            "This document", {200: answer("OpenAPI 3.1", {"type": "object"}, media_type=MEDIA_TYPE), **refusals()}
        ),
    )
    async def get_document() -> Response[bytes]:
        """Describe every endpoint."""
        return Answer(content, MEDIA_TYPE, EVERY_ANSWER)

    content = make_document([*handlers, get_document])
    return get_document
