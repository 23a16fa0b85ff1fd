"""Ports of this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

_taken: list[socket.socket] = []


def free_port() -> int:
    """A port that nothing listens on, and that no other run of the tests gets until this process ends.

    Between this call and the service that listens a second may pass, in which the kernel may give the port again. So a
    port is taken by a name as well: that of a Unix socket in the abstract namespace, which ends with the process.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0pulsehouse-test-port-{port}")
        except OSError:  # another one has it
            name.close()
            continue
        _taken.append(name)
        return port


@contextmanager
def busy_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield int(busy.getsockname()[1])
