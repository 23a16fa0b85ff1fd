"""GET /docs: the OpenAPI document for people, as one page without scripts and without any other host."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from litestar.handlers import HTTPRouteHandler

from app.http.openapi import PATH as DOCUMENT_PATH
from app.http.openapi import make_document
from app.http.static import HTML, PAGE_HEADERS, REVALIDATE, STATIC, serve_content

Json = dict[str, Any]

GROUPS = {
    "Live data": ("/api/realtime",),
    "Signals": ("/api/track",),
    "Sites": ("/api/sites",),
    "Keys": ("/api/keys",),
    "For the operator": ("/health", "/ready", "/metrics"),
    "Everything else": ("/",),
}
"""The headings, each with how its paths may begin; a path is under the first that fits."""

SHOWN = ("get", "post", "patch", "put", "delete")
"""HEAD and OPTIONS follow from the others."""

BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "default": "{} if not given",
}
PLAIN_HEADERS = {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cache-Control"}
"""Of every answer; the page need not repeat them."""


def reference_handler(handlers: Iterable[HTTPRouteHandler]) -> HTTPRouteHandler:
    """A handler that answers with the reference of the other handlers."""
    page = make_reference(json.loads(make_document(handlers)))
    return serve_content("/docs", "docs", page.encode(), HTML, {**REVALIDATE, **PAGE_HEADERS})


def make_reference(document: Json) -> str:
    """The page for a document."""
    page = (STATIC / "docs.html").read_text(encoding="utf-8")
    for name, text in (
        ("document", DOCUMENT_PATH.removeprefix("/")),
        ("about", _paragraphs(document["info"]["description"])),
        ("contents", _contents(document)),
        ("operations", _body(document)),
    ):
        page = page.replace(f"<!-- {name} -->", text)
    return page


def _grouped(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    groups: dict[str, list[tuple[str, str, Json]]] = {name: [] for name in GROUPS}
    for path, operations in document["paths"].items():
        name = next(name for name, prefixes in GROUPS.items() if path.startswith(prefixes))
        groups[name] += [(method, path, operations[method]) for method in SHOWN if method in operations]
    return groups


def _contents(document: Json) -> str:
    parts = []
    for name, operations in _grouped(document).items():
        links = [
            f'<li><a href="#{operation["operationId"]}">{_title(m, path)}</a></li>' for m, path, operation in operations
        ]
        parts.append(f"<h2>{escape(name)}</h2><ul>{''.join(links)}</ul>")
    return "".join(parts)


def _body(document: Json) -> str:
    parts = []
    for name, operations in _grouped(document).items():
        parts.append(f"<h2>{escape(name)}</h2>")
        parts += [_operation(document, method, path, operation) for method, path, operation in operations]
    return "".join(parts)


def _title(method: str, path: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span> <span class="path">{escape(path)}</span>'


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    parts = [
        f'<section id="{operation["operationId"]}"><h3>{_title(method, path)}</h3>',
        f"<p class=summary>{_text(operation['summary'])}</p>{_paragraphs(operation['description'])}",
        f"<p class=token>{_token(operation.get('security', []))}</p>",
    ]
    if parameters := operation.get("parameters"):
        parts.append("<h4>Parameters</h4>" + _list(_parameter(document, told) for told in parameters))
    if body := operation.get("requestBody"):
        schema = next(iter(body["content"].values()))["schema"]
        parts.append("<h4>Body</h4>" + _paragraphs(body.get("description", "")) + _schema(document, schema, asked=True))
    parts.append("<h4>Answers</h4>")
    answers = [(status, _resolve(document, told)) for status, told in operation["responses"].items()]
    for status, told in answers:
        if status < "300":
            parts.append(f"<p class=answer><b>{status}</b> {_text(told['description'])}{_media(told)}</p>")
            parts += [_schema(document, content.get("schema", {})) for content in told.get("content", {}).values()]
    refused = [(status, told) for status, told in answers if status >= "300"]
    parts.append(_list((status, "", _refusal(told)) for status, told in refused))
    return "".join([*parts, "</section>"])


def _token(security: list[Json]) -> str:
    if not security:
        return "No token"
    return "With or without a token" if {} in security else "With a token: <code>Authorization: Bearer ph_live_…</code>"


def _media(told: Json) -> str:
    kinds = [kind for kind in told.get("content", {}) if kind != "application/json"]
    return f", <code>{escape(', '.join(kinds))}</code>" if kinds else ""


def _refusal(told: Json) -> str:
    headers = [f"<code>{escape(name)}</code>" for name in told.get("headers", {}) if name not in PLAIN_HEADERS]
    return _text(told["description"]) + (f"; {', '.join(headers)}" if headers else "")


def _parameter(document: Json, told: Json) -> tuple[str, str, str]:
    kinds = [_kind(document, told["schema"])]
    kinds += [told["in"]] if told["in"] != "query" else []
    kinds += ["required"] if told["required"] else []
    return told["name"], ", ".join(kinds), _text(told.get("description", ""))


def _schema(document: Json, schema: Json, *, asked: bool = False) -> str:
    """The fields of a schema, and those of what is in it; of alternatives each. Of what is asked for: which must be."""
    schema = _resolve(document, schema)
    alternatives = [_resolve(document, one) for one in schema.get("anyOf", [])]
    if any("properties" in one for one in alternatives):
        return "<p class=or>or</p>".join(_schema(document, one, asked=asked) for one in alternatives)
    return _list(
        _fields(document, schema, "", asked=asked) if "properties" in schema else _inside(document, schema, "")
    )


def _fields(document: Json, schema: Json, before: str, *, asked: bool = False) -> Iterator[tuple[str, str, str]]:
    for name, told in schema["properties"].items():
        inner = _resolve(document, told)
        must = ", required" if asked and name in schema.get("required", []) else ""
        yield before + name, _kind(document, told) + must, _text(inner.get("description", ""))
        yield from _inside(document, inner, before + name)


def _inside(document: Json, schema: Json, name: str) -> Iterator[tuple[str, str, str]]:
    """The fields of an object, of the entries of an object, or of the elements of an array."""
    for one in [schema, *schema.get("anyOf", [])]:
        one = _resolve(document, one)
        for inner, before in (
            (one, f"{name}."),
            (one.get("items", {}), f"{name}[]."),
            (one.get("additionalProperties", {}), f"{name}.*."),
        ):
            if isinstance(inner, dict) and "properties" in (resolved := _resolve(document, inner)):
                yield from _fields(document, resolved, before.lstrip("."))


def _kind(document: Json, schema: Json) -> str:
    """What a value may be, in a few words."""
    schema = _resolve(document, schema)
    if alternatives := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(document, one) for one in alternatives))
    if "const" in schema:
        return str(json.dumps(schema["const"]))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kind = str(schema.get("format") or schema.get("type") or "anything")
    if kind == "array" and schema.get("items"):
        kind = f"array of {_kind(document, schema['items'])}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        kind = f"object of {_kind(document, schema['additionalProperties'])}"
    return ", ".join([kind, *(text.format(schema[name]) for name, text in BOUNDS.items() if name in schema)])


def _resolve(document: Json, schema: Json) -> Json:
    """A schema or answer without its reference, and with what it is made of put together."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in (_resolve(document, one) for one in schema.get("allOf", [])):
        whole.setdefault("properties", {}).update(
            {name: {**whole["properties"].get(name, {}), **told} for name, told in part.get("properties", {}).items()}
        )
        whole["required"] = [*whole.get("required", []), *part.get("required", [])]
    return whole


def _list(rows: Iterable[tuple[str, str, str]]) -> str:
    entries = [
        f"<div><dt><code>{escape(name)}</code> <span>{escape(kind)}</span></dt><dd>{text}</dd></div>"
        for name, kind, text in rows
    ]
    return f"<dl>{''.join(entries)}</dl>" if entries else ""


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part.strip())


def _text(text: str) -> str:
    """Prose as HTML; what is between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))
