"""Short runs of the fault harness; `make faults` has the long one."""

import os
import subprocess
import sys

import pytest

COMMAND = os.environ.get("PULSEHOUSE_TEST_FAULTS_CLICKHOUSE", "")
"""A command that runs a ClickHouse server of its own in the foreground, with {port} and {path}."""
SECONDS = os.environ.get("PULSEHOUSE_TEST_FAULTS_SECONDS", "2")
ATTACK_SECONDS = os.environ.get("PULSEHOUSE_TEST_FAULTS_ATTACK_SECONDS", "1")


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.skipif(not COMMAND, reason="PULSEHOUSE_TEST_FAULTS_CLICKHOUSE names no command that runs a server")
@pytest.mark.parametrize("attacks", ["faults", "stopped,proxy"])
def test_nothing_acknowledged_is_lost_or_doubled_whatever_breaks(attacks: str) -> None:
    options = ["--seconds", SECONDS, "--attack-seconds", ATTACK_SECONDS, "--attacks", attacks]
    run = subprocess.run(
        [sys.executable, "-m", "faults", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert run.returncode == 0, run.stdout
    assert "acknowledged but missing" in run.stdout
