"""Whatever is sent: never 500, every error the same JSON, nothing of a refused request stored, and the service is as
its OpenAPI document says.

PULSEHOUSE_TEST_FUZZ_EXAMPLES sets how many requests the long form of each test sends per engine and endpoint
(default 40).
"""

import contextlib
import http.client
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio.from_thread
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.domain.signals import ServerBatch, ServerSignal
from app.settings import Settings
from app.store.statements import Statement
from app.store.store import Store
from app.wiring import create_app, create_store
from tests.conftest import make_engine
from tests.kit.databases import new_name
from tests.kit.listening import listening
from tests.kit.user_agents import BROWSER

EXAMPLES = int(os.environ.get("PULSEHOUSE_TEST_FUZZ_EXAMPLES", "40"))
EXAMPLES_SHORT = 8
TIMEOUT_S = 60
PROXIES = "127.0.0.1"

forms = pytest.mark.parametrize("examples", [EXAMPLES_SHORT, pytest.param(EXAMPLES, marks=pytest.mark.deep)])


def fuzz(examples: int) -> settings:
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


Case = schemathesis.Case[Any]


class Fuzzed:
    """The service on a port, its loop in a thread of its own, and a look behind it."""

    def __init__(self, url: str, tokens: dict[str, str], count: Callable[[], int]) -> None:
        self.url = url
        self.tokens = tokens
        self.count = count
        """How many signals are stored."""

    def send(
        self, method: str, target: str, headers: list[tuple[str, bytes]] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Send a request as it is, and check what holds for every answer; return its status and body."""
        stored = self.count()
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers or []:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            answer = response.read()
        assert response.status not in (500, 503), (method, target, headers, body)
        if response.status >= 400 and method != "HEAD":
            assert response.headers["Content-Type"] == "application/json", (response.status, target)
            told = json.loads(answer)
            assert list(told) == ["error"]
            assert isinstance(told["error"], str)
            assert told["error"]
            assert self.count() == stored
        return response.status, answer


@pytest.fixture(scope="module")
def service(engine_name: str, server_or_none: str, embedded_folder: Path) -> Iterator[Fuzzed]:
    database = new_name()
    given = Settings(
        track_max_signals_per_minute=0, trusted_proxies=PROXIES, stream_lifetime_ms=1, stream_interval_ms=10
    )
    tokens: dict[str, str] = {}
    engine = make_engine(engine_name, server_or_none, embedded_folder, database)

    async def start() -> Store:
        store = create_store(given, engine=engine)
        await store.prepare()
        for site_id in ("site_a", "site_b"):
            await store.tenants.add_site(site_id, "acme", ["example.com"], site_id)
        for scope in ("read", "write", "admin"):
            _, tokens[scope] = await store.tenants.create_key("acme", scope, "", None)
        _, tokens["public"] = await store.tenants.create_key("acme", "public", "site_a", None)
        await store.refresh()
        store.run()
        return store

    async def count() -> int:
        return int(await engine.fetch(Statement("test", "SELECT count() FROM signals FORMAT TSVRaw")))

    async def stop(store: Store) -> None:
        await engine.execute(Statement("test", f"DROP DATABASE {database}"))
        await store.close(1)

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        store = portal.call(start)
        with portal.wrap_async_context_manager(listening(create_app(given, store))) as url:
            yield Fuzzed(url, tokens, lambda: portal.call(count))
        portal.call(stop, store)


@pytest.fixture(scope="module")
def document(service: Fuzzed) -> dict[str, Any]:
    return dict(json.loads(service.send("GET", "/openapi/openapi.json")[1]))


scopes = st.sampled_from(["admin", "admin", "read", "write", "public", "", ""])
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


WELCOME: dict[str, Any] = {
    "/api/sites": {"domains": ["example.com"]},
    "/api/sites/{id}": {"name": "x"},
    "/api/keys": {"scope": "read", "expiresInDays": 7},
}
"""Bodies of calls that refuse a field that they do not know."""


def make_welcome(case: Case) -> None:
    """Put a site that exists in the place of a well-formed id, and leave out what only few values please: else every
    answer would be 403 or 404.
    """
    positive = bool(case.meta and case.meta.generation.mode.is_positive)
    if case.operation.path in WELCOME:
        if positive:
            case.body = WELCOME[case.operation.path]
        return
    events = case.body.get("events") if isinstance(case.body, dict) else None
    for sent in (case.query, case.body):
        if not isinstance(sent, dict):
            continue
        site_id = sent.get("siteId")
        if positive or (isinstance(site_id, str) and site_id.strip()):
            sent["siteId"] = "site_a"
        if positive and isinstance(asked := sent.get("siteIds"), list):
            sent["siteIds"] = [*["site_a", "site_b"][: len(asked)]]
    for signal in (case.body, *(events if isinstance(events, list) else [])):
        if isinstance(signal, dict) and positive:
            signal.update(path="/", timestamp=None)
    for name in ("Origin", "User-Agent"):
        case.headers.pop(name, None)


@forms
@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
def test_the_service_is_as_its_description_says(
    service: Fuzzed, document: dict[str, Any], mode: schemathesis.GenerationMode, examples: int
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    answers: set[tuple[str, int]] = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        takes_a_body = operation.method in ("post", "patch")
        if mode.is_negative and not takes_a_body:
            continue  # every text is a good header, and parameters that nobody knows are ignored
        options: dict[str, Any] = {"media_type": "application/json"} if takes_a_body else {}
        cases = operation.as_strategy(mode, **options)

        @fuzz(examples)
        @given(case=cases, scope=scopes, welcome=st.sampled_from([True, True, True, False]))
        def hold(case: Case, scope: str, welcome: bool) -> None:
            headers = {"Authorization": f"Bearer {service.tokens[scope]}"} if scope else {}
            if welcome:
                make_welcome(case)
                if isinstance(case.query, dict) and "key" in case.query:
                    case.query["key"] = service.tokens["public"]
            response = case.call(base_url=service.url, headers=headers, timeout=TIMEOUT_S)
            answers.add((case.operation.label, response.status_code))
            case.validate_response(response, checks=CHECKS, headers=headers)

        hold()
    if mode.is_positive:
        for path in ("", "/numbers", "/breakdown", "/history", "/overview", "/stream"):
            assert (f"GET /api/realtime{path}", 200) in answers
        assert {("POST /api/realtime/batch", 200), ("POST /api/track", 200), ("GET /api/track.gif", 200)} < answers
        assert ("GET /badge.svg", 200) in answers
        assert {("POST /api/sites", 201), ("POST /api/keys", 201), ("PATCH /api/sites/{id}", 404)} < answers


NAMES = sorted({field.encode_name.encode() for kind in (ServerBatch, ServerSignal) for field in fields(kind)} | {b"x"})
numbers = st.sampled_from([b"NaN", b"-Infinity", b"-0", b"01", b"1e999", b"1e-999", b"9" * 5000, b"0x1", b"1_0"])
nested = st.tuples(st.sampled_from([b"[", b'{"a":']), st.sampled_from([10, 50_000]) | st.integers(930, 1000)).map(
    lambda deep: deep[0] * deep[1] + b"null" + (b"]" if deep[0] == b"[" else b"}") * deep[1]
)
strings = st.sampled_from(
    [
        b'"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\\x"',
        b'"https://[/"',
        b'"//user:@:x/"',
        b'"0001-01-01T00:00:00+23:59"',
        b'"9999-12-31T23:59:59-23:59"',
        b'"::ffff:1.2.3.4%x"',
        b'"' + b"/" * 5000 + b'"',
    ]
)
others = st.sampled_from([b"", b"null", b"true", b"{}", b"{", b"[]", b"[{}]", b'{"source":7}', b'{"source":"x",}'])
values = st.one_of(numbers, nested, strings, others, st.text(max_size=20).map(lambda text: json.dumps(text).encode()))
members = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4)


def written(members: list[tuple[bytes, bytes]]) -> bytes:
    return b"{" + b",".join(b'"%s":%s' % member for member in [(b"siteId", b'"site_a"'), *members]) + b"}"


signals = members.map(written)
batches = st.tuples(members, st.lists(signals, max_size=3)).map(
    lambda batch: written([*batch[0], (b"batch", b"true"), (b"events", b"[" + b",".join(batch[1]) + b"]")])
)
bodies = st.one_of(signals, signals, batches, st.binary(max_size=200), signals.map(lambda body: b"\xef\xbb\xbf" + body))

# What may stand in a header: the server refuses other bytes before the application sees them.
octets = st.lists(st.sampled_from([9, *range(32, 127), *range(128, 256)]), max_size=40).map(bytes)
odd = {
    "Authorization": [b"", b"Bearer", b"bearer  ph_live_", b"Basic eDp5", b"Bearer ph_live_" + b"x" * 9000],
    "X-Forwarded-For": [b"1.2.3.4:80", b"[::1", b"::1%eth0, 999.1.1.1", b",,", b"\xff", b"a" * 9000, b"1.2.3.4/8"],
    "Origin": [b"null", b"http://[", b"https://example.com:x", b"https://example.com", b"http://\xff/"],
    "User-Agent": [b"", b"x/" * 9000, BROWSER.encode()],
    "Referer": [b"", b"http://[", b"/" * 9000, b"https://example.com/\xff"],
    "Content-Type": [b"", b"text/plain", b"multipart/form-data", b"application/msgpack", b"x;charset=\xff"],
    "Content-Encoding": [b"gzip"],
    "X-Forwarded-Proto": [b"https", b"x"],
    "Cookie": [b"=;=", b"a=\xff"],
    "Accept": [b"", b"image/gif", b"*/*;q=x"],
}
headers = st.lists(
    st.sampled_from(sorted(odd)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(odd[name]) | octets)),
    max_size=5,
)
queries = st.lists(
    st.tuples(
        st.sampled_from(["siteId", "siteid", "path", "x", ""]),
        st.sampled_from(["site_a", "", "%ff", "%00", "%ed%a0%80", "%", "+", "%20", "=", "a" * 5000, "?", "//[", "%23"]),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
targets = st.one_of(
    st.sampled_from(
        [
            "/api/realtime/batch",
            "/api/realtime/overview",
            "/api/realtime/stream",
            "/api/keys",
            "/api/sites/x",
            "/api/keys/%00",
        ]
    ),
    st.sampled_from(["/api/realtime", "/api/track.gif", "/api/track", "/api/sites", "/", "/metrics"]),
    st.binary(max_size=20).map(lambda path: "/api/" + quote(path)),
    st.sampled_from(["//", "/api//realtime", "/api/realtime/", "/../x", "/%2e%2e/", "/x" * 4000, "/openapi/x", "/%"]),
)


@forms
def test_any_body_is_stored_or_refused_and_never_a_defect(service: Fuzzed, examples: int) -> None:
    types = st.sampled_from([b"", b"application/json", b"text/plain", b"image/gif"])

    @fuzz(examples)
    @given(body=bodies, scope=scopes, content_type=types)
    def hold(body: bytes, scope: str, content_type: bytes) -> None:
        key = [("Authorization", f"Bearer {service.tokens[scope]}".encode())] if scope else []
        given = [("User-Agent", BROWSER.encode()), ("Content-Type", content_type), *key]
        status, _ = service.send("POST", "/api/track", given, body)
        assert status in (200, 400, 403, 404)  # 404: its own fields may name another site

    hold()


@forms
def test_any_headers_are_read_or_refused_and_never_a_defect(service: Fuzzed, examples: int) -> None:
    @fuzz(examples)
    @given(given=headers, scope=scopes)
    def hold(given: list[tuple[str, bytes]], scope: str) -> None:
        key = [("Authorization", f"Bearer {service.tokens[scope]}".encode())] if scope else []
        service.send("POST", "/api/track", [*key, *given], b'{"siteId":"site_a"}')
        service.send("GET", "/api/realtime?siteId=site_a", [*key, *given])
        service.send("GET", "/api/track.gif?siteId=site_a", [*key, *given])

    hold()


@forms
def test_any_path_and_query_are_answered_and_never_a_defect(service: Fuzzed, examples: int) -> None:
    methods = st.sampled_from(["GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE", "X"])
    key = [("Authorization", f"Bearer {service.tokens['read']}".encode()), ("User-Agent", BROWSER.encode())]

    @fuzz(examples)
    @given(target=targets, query=queries, method=methods)
    def hold(target: str, query: str, method: str) -> None:
        service.send(method, f"{target}?{query}", key)

    hold()
