"""The benchmark that needs no server stands in for ClickHouse: it must keep to what the statements return."""

import json
import subprocess
import sys

from bench.requests import KINDS
from tests.kit.service import COMMAND_WITHIN_S, ROOT


def test_every_kind_of_request_is_answered_200_and_measured() -> None:
    command = [sys.executable, "-m", "bench.requests", "--json", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_WITHIN_S)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(json.loads(done.stdout)) == list(KINDS)
