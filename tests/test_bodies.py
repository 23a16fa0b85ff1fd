"""Request bodies of clients that send slowly, too much, or not to the end."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from app.settings import Settings
from tests.kit.service import ROOT, Service, make, site
from tests.kit.user_agents import BROWSER

BODY_MAX_BYTES = 200_000
BODIES_MAX_BYTES = 250_000
PATIENCE_S = 60
"""Longer than any answer takes; an answer that does not come fails the test."""


class Client:
    """A connection that sends what it is told to, and then reads."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        # So that who sends much waits for the service to read, and not the operating system for both.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))

    def close(self) -> None:
        self.socket.close()

    def begin(self, *headers: str, body: bytes = b"") -> "Client":
        """Send the head of a request to /api/track and this much of its body."""
        head = ["POST /api/track HTTP/1.1", "Host: x", f"User-Agent: {BROWSER}", *headers, "", ""]
        self.socket.sendall("\r\n".join(head).encode() + body)
        return self

    def answer(self) -> tuple[int, str, bytes]:
        """Status, head and body of the answer; whatever else comes is left."""
        file = self.socket.makefile("rb")
        status = int(file.readline().split()[1])
        head = b"".join(iter(file.readline, b"\r\n")).decode().lower()
        length = int(next(line for line in head.splitlines() if line.startswith("content-length: ")).split()[1])
        return status, head, file.read(length)

    def is_closed(self) -> bool:
        return self.socket.recv(1) == b""


def error(message: str) -> bytes:
    return json.dumps({"error": message}, separators=(",", ":")).encode()


def signal(size: int) -> bytes:
    """A signal of so many bytes."""
    return b'{"siteId":"site_a","x":"%s"}' % (b"x" * (size - 26))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is patient with its clients."""
    settings = {
        "data_dir": str(tmp_path_factory.mktemp("bodies")),
        "body_timeout_ms": "600000",
        "body_max_bytes": str(BODY_MAX_BYTES),
        "bodies_max_bytes": str(BODIES_MAX_BYTES),
        "commit_interval_ms": "0",
        "track_max_signals_per_minute": "0",
    }
    make(site(), **settings)
    with Service(**settings) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with closing(Client(service.port)) as client:
        yield client


def test_a_body_that_does_not_come_is_408_and_the_connection_is_closed(tmp_path: Path) -> None:
    with Service(data_dir=str(tmp_path / "data"), body_timeout_ms="100") as service:
        for sent in (b"", b'{"siteId":', b"x" * 100_000):
            with closing(Client(service.port)) as client:
                status, _, body = client.begin("Content-Length: 100001", body=sent).answer()
                assert (status, body) == (408, error("body: not complete within 0.1 seconds"))
                assert client.is_closed()


def test_a_body_may_come_in_pieces_and_the_connection_stays(client: Client) -> None:
    for _ in range(2):
        client.begin("Transfer-Encoding: chunked")
        for piece in (b'a\r\n{"siteId":\r\n', b'9\r\n"site_a"}\r\n', b"0\r\n\r\n"):
            client.socket.sendall(piece)
        assert client.answer()[::2] == (200, b'{"success":true}')
        assert client.begin("Content-Length: 100000", body=signal(100_000)).answer()[::2] == (200, b'{"success":true}')


@pytest.mark.parametrize("pieces", [b"zz\r\nabc", b"3\r\nabc\r\nqq\r\n", b"3\r\nabcdef"])
def test_a_body_in_broken_chunks_is_400(client: Client, pieces: bytes) -> None:
    status, _, body = client.begin("Transfer-Encoding: chunked", body=pieces).answer()
    assert (status, body) == (400, error("body: broken off or malformed"))


def test_a_body_that_breaks_off_is_400(client: Client) -> None:
    client.begin("Content-Length: 100", body=b"{").socket.shutdown(socket.SHUT_WR)
    assert client.answer()[::2] == (400, error("body: broken off or malformed"))


@pytest.mark.parametrize("announced", [True, False])
def test_a_client_that_sends_too_much_and_reads_only_then_gets_its_413(client: Client, announced: bool) -> None:
    body = signal(15 * BODY_MAX_BYTES)
    if announced:
        client.begin(f"Content-Length: {len(body)}", body=body)
    else:
        client.begin("Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert client.answer()[::2] == (413, error("body: at most 200000 bytes"))


def test_a_client_that_asks_first_gets_its_413_at_once(client: Client) -> None:
    client.begin("Content-Length: 2000000", "Expect: 100-continue")
    assert client.answer()[::2] == (413, error("body: at most 200000 bytes"))


def send(service: Service, size: int) -> tuple[int, str, bytes]:
    """Send a signal of so many bytes on a connection of its own; return its answer."""
    with closing(Client(service.port)) as client:
        return client.begin(f"Content-Length: {size}", body=signal(size)).answer()


def test_bodies_in_the_reading_are_bounded_together_and_small_ones_are_not_refused_for_them(service: Service) -> None:
    status = 200
    while status == 200:  # what is held has not been read yet, or was itself refused for what was asked
        with ExitStack() as held:
            for _ in range(2):
                holder = held.enter_context(closing(Client(service.port)))
                holder.begin("Content-Length: 200000", body=b"x" * 120_000)
            for _ in range(5):
                status, head, body = send(service, 100_000)
            small = send(service, 50)
    assert (status, body) == (503, error("Temporarily unavailable, try again"))
    assert "retry-after: 1" in head
    assert small[::2] == (200, b'{"success":true}')
    # They are gone, and what they took is free again.
    while send(service, 190_000)[0] == 503:
        pass


def test_the_proxy_has_the_limits_of_the_service() -> None:
    configuration = (ROOT / "deploy/nginx/pulsehouse.conf").read_text(encoding="utf-8")
    limits = dict(re.findall(r"^    (\w+) (\w+);$", configuration, re.MULTILINE))
    assert limits["client_max_body_size"] == f"{Settings().body_max_bytes // 1_048_576}m"
    assert limits["client_body_timeout"] == f"{Settings().body_timeout_ms // 1000}s"
    assert f"large_client_header_buffers 4 {Settings().head_max_bytes // 1024}k;" in configuration
    (answer_s,) = re.findall(r"proxy_read_timeout (\d+)s;", configuration)
    assert int(answer_s) * 1000 > Settings().commit_timeout_ms


def hold_and_stop(*arguments: str, **settings: str) -> tuple[bytes, int, str]:
    """Stop a service that waits for a body; return what it answers to the body's sender, its exit code and log."""
    with Service(*arguments, body_timeout_ms="600000", **settings) as service, closing(Client(service.port)) as client:
        client.begin("Content-Length: 100", "Expect: 100-continue")
        client.socket.recv(1)  # the go-ahead: the body is being waited for
        code, log = service.stop()  # fails when it takes longer than documented
        return client.socket.makefile("rb").read(), code, log


def test_a_held_body_does_not_delay_the_stop(tmp_path: Path) -> None:
    answer, code, log = hold_and_stop(data_dir=str(tmp_path / "data"))
    assert (b" 503 " in answer, code) == (True, 0), log


@pytest.mark.deep
def test_a_held_body_does_not_delay_the_stop_of_workers(server_database: str) -> None:
    answer, code, log = hold_and_stop("--workers", "2", clickhouse_url=server_database)
    assert (b" 503 " in answer, code, "Kill" in log) == (True, 0, False), log
