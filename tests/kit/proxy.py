"""A proxy between the service and a ClickHouse server that does to INSERTs of signals what proxies and networks do."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec

OWN = {
    "X-ClickHouse-Query-Id": "4f1c",
    "X-ClickHouse-Server-Display-Name": "here",
    "X-ClickHouse-Summary": '{"read_rows":"1"}',
}
"""What ClickHouse says in the headers of its answer to an INSERT."""


class Answer(msgspec.Struct, frozen=True):
    """What the proxy answers in place of ClickHouse."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""


ODD_ANSWERS = {
    "a page": Answer(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"),
    "a page with ClickHouse's headers": Answer(200, OWN, b"<html>Welcome</html>"),
    "nothing": Answer(200),
    "no content": Answer(204, OWN),
    "accepted": Answer(202, OWN),
    "a redirect": Answer(302, {"Location": "/elsewhere"}),
    "a redirect of the whole request": Answer(307, {"Location": "/elsewhere"}),
    "not lz4": Answer(200, OWN | {"Content-Encoding": "lz4"}, b"no"),
    "not deflated": Answer(200, OWN | {"Content-Encoding": "deflate"}, b"no"),
    "not zstd": Answer(200, OWN | {"Content-Encoding": "zstd"}, b"no"),
    "a summary that is no object": Answer(200, OWN | {"X-ClickHouse-Summary": "[1]"}),
    "a summary that is no JSON": Answer(200, OWN | {"X-ClickHouse-Summary": "{"}),
    "a header too few": Answer(200, {name: value for name, value in OWN.items() if name != "X-ClickHouse-Query-Id"}),
    "an error of its own": Answer(502, {}, b"Bad gateway"),
    "an error of ClickHouse in a success": Answer(200, OWN | {"X-ClickHouse-Exception-Code": "241"}),
}


class Proxy(ThreadingHTTPServer):
    """Passes everything on to a ClickHouse server, INSERTs of signals as the test says."""

    daemon_threads = True

    def __init__(self, server_url: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(server_url)
        self.upstream = (parts.hostname or "", parts.port or 8123)
        self.credentials = server_url.partition("//")[2].rpartition("@")[0]
        self.odd: list[Answer] = []
        """Answers to the next INSERTs, which are not passed on."""
        self.delay_s = 0.0
        """How long the last byte of an INSERT is on its way."""
        self.pass_on = threading.Event()
        """INSERTs wait for it."""
        self.pass_on.set()
        self.counting = threading.Lock()
        self.waiting = 0
        """How many do."""
        self.inserts: list[tuple[str, int]] = []
        """Token and status of each INSERT that was answered."""
        self.refused_as_running = 0
        self.asked: list[str] = []
        """Paths asked for."""

    def url(self, database: str) -> str:
        user = f"{self.credentials}@" if self.credentials else ""
        return f"http://{user}127.0.0.1:{self.server_address[1]}/{database}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append(urlsplit(self.path).path)
        token = asked.get("param_token", [""])[0] if "INTO signals" in asked.get("query", [""])[0] else ""
        if not token:
            self._answer(self._forward(body, 0) if self.server.upstream[0] else self.server.odd[0])
            return
        with self.server.counting:
            self.server.waiting += 1
        self.server.pass_on.wait()
        with self.server.counting:
            self.server.waiting -= 1
        answer = self.server.odd.pop(0) if self.server.odd else self._forward(body, self.server.delay_s)
        self.server.inserts.append((token, answer.status))
        self.server.refused_as_running += answer.headers.get("X-ClickHouse-Exception-Code") == "216"
        self._answer(answer)

    def do_GET(self) -> None:
        self.do_POST()

    def _forward(self, body: bytes, delay_s: float) -> Answer:
        upstream = http.client.HTTPConnection(*self.server.upstream)
        upstream.putrequest(self.command, self.path, skip_host=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body[:-1])
        time.sleep(delay_s)
        upstream.send(body[-1:])
        response = upstream.getresponse()
        kept = {name: value for name, value in response.getheaders() if name not in ("Transfer-Encoding", "Connection")}
        answer = Answer(response.status, kept, response.read())
        upstream.close()
        return answer

    def _answer(self, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
        except OSError:  # who asked has gone
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxy(server_url: str = "") -> Iterator[Proxy]:
    """A proxy before a server; before none, it gives its first odd answer to everything."""
    with Proxy(server_url) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.pass_on.set()
            running.shutdown()
            thread.join()
