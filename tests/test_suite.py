"""The tests themselves: what a run says first, and that nothing is left of one that is interrupted."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import VARIABLES
from tests.kit.service import ROOT, environment
from tests.kit.waiting import wait_until

PYTEST = [sys.executable, "-m", "pytest"]


def test_a_run_says_what_it_will_do_and_what_it_leaves_out() -> None:
    run = subprocess.run(
        [*PYTEST, "--collect-only", "tests/test_sites.py"],
        cwd=ROOT,
        env=environment(test_clickhouse_url="http://somebody:secret@clickhouse.test:8123/default"),
        capture_output=True,
        text=True,
    )
    said = run.stdout.splitlines()
    assert said[2].startswith("tests: the short forms, about ")
    assert said[2].endswith("; the others: make test-embedded, test-deep")
    assert said[3] == (
        "clickhouse: the server, and the embedded engine where no difference can be; "
        "the server is at clickhouse.test:8123/default"
    )
    skipped = [f"skipped: {what}; to run it: {variable}" for variable, what in VARIABLES.items()]
    assert said[4 : 4 + len(skipped)] == skipped
    assert "secret" not in run.stdout


def of_run(mark: str) -> list[str]:
    """The command of each process that a run has started, and what they have started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has just ended, or is another user's
            continue
    return found


@pytest.mark.deep
@pytest.mark.parametrize(
    ("number", "send", "code"),
    [
        pytest.param(signal.SIGINT, os.killpg, 2, id="as a terminal does"),
        pytest.param(signal.SIGINT, os.kill, 2, id="the parent alone"),
        pytest.param(signal.SIGKILL, os.kill, -signal.SIGKILL, id="the parent is killed"),
    ],
)
def test_nothing_is_left_of_a_run_that_is_interrupted(
    tmp_path: Path, number: signal.Signals, send: Callable[[int, int], None], code: int
) -> None:
    mark = f"RUN_OF_THE_TESTS={tmp_path}"
    run = subprocess.Popen(
        [*PYTEST, "-n", "1", "tests/test_bodies.py"],
        cwd=ROOT,
        env=environment() | dict([mark.split("=")]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        # A shell starts what it runs in the background with SIGINT ignored; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: any("pulsehouse serve" in command for command in of_run(mark)))
        send(run.pid, number)
        assert run.wait() == code
        wait_until(lambda: not of_run(mark))
    finally:
        run.kill()
        run.wait()
