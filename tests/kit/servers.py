"""ClickHouse servers of one's own: killed, stopped and started again, alone or as the shards of clusters."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.kit.ports import free_port

_SHARD = (
    "<shard><internal_replication>true</internal_replication>"
    "<replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"
)


class Server:
    """A ClickHouse server on this machine, with its data in a folder."""

    def __init__(self, command: str, folder: Path) -> None:
        """`command` runs it in the foreground: {port}, {tcp_port}, {path} and {config} are filled in."""
        self.port, self.tcp_port = free_port(), free_port()
        self.folder = folder
        self.config = folder.with_suffix(".xml")
        self._command = command.format(port=self.port, tcp_port=self.tcp_port, path=folder, config=self.config)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://default:@127.0.0.1:{self.port}/default"

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/ping").status_code == 200
        return False

    def start(self) -> None:
        """Start it; it answers /ping later."""
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._command, shell=True, start_new_session=True, stdin=silent, stdout=silent, stderr=silent
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and all that belongs to it; one that is killed has ended after this."""
        assert self._process
        os.killpg(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        if self.lives:
            self.send(signal.SIGKILL)


def make_servers(command: str, folder: Path, clusters: Mapping[str, Sequence[int]], count: int) -> list[Server]:
    """Servers, not started, that know these clusters: of each the numbers of its servers, one a shard."""
    servers = [Server(command, folder / f"server{number}") for number in range(count)]
    known = "".join(
        f"<{name}>{''.join(_SHARD.format(port=servers[number].tcp_port) for number in numbers)}</{name}>"
        for name, numbers in clusters.items()
    )
    for server in servers:
        server.config.write_text(f"<clickhouse><remote_servers>{known}</remote_servers></clickhouse>\n")
    return servers
