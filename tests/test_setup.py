"""`make setup`: a few lines on how far it is, and what pip said when it fails. Without a network: pip is a stand-in."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.service import COMMAND_WITHIN_S, ROOT

PACKAGES = 45
PIP = [
    "Ignoring pywin32: markers 'sys_platform == \"win32\"' don't match your environment",
    *(
        line
        for number in range(PACKAGES - 1)
        for line in (
            f"Collecting package-{number}==1.0 (from -r requirements-dev.lock (line {number}))",
            f"  Downloading package_{number}-1.0-py3-none-any.whl ({'181.5 MB' if number == 30 else '1.9 MB'})",
            "     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 1.9/1.9 MB 113.5 MB/s eta 0:00:00",
        )
    ),
]
PYTHON = """#!/bin/sh
# python -c ...: the check of the version; python -m venv FOLDER
[ "$1" = -m ] || exit 0
mkdir -p "$3/bin"
cp pip "$3/bin/pip"
"""


def make_setup(folder: Path, pip: str) -> "subprocess.CompletedProcess[str]":
    """Run `make setup` in a folder, with a pip that is this script, for PACKAGES locked packages."""
    if not shutil.which("make"):
        pytest.skip("no make")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").touch()
    lock = "".join(f"package-{number}==1.0 \\\n    --hash=sha256:0\n" for number in range(PACKAGES))
    (folder / "requirements-dev.lock").write_text(lock)
    (folder / "said").write_text("\n".join(PIP) + "\n", encoding="utf-8")
    for name, script in (("pip", f"#!/bin/sh\ncase $* in *--editable*) exit 0;; esac\n{pip}\n"), ("python", PYTHON)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "setup", "PYTHON=./python"],
        cwd=folder,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )


def test_setup_says_what_it_does_and_how_far_it_is_in_a_few_lines(tmp_path: Path) -> None:
    done = make_setup(tmp_path, "cat said; echo Installing collected packages: package-0; echo Successfully installed")
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = done.stdout.splitlines()
    assert "about 300 MB" in first
    assert others == [
        "  20 of 44 packages",
        "  downloading package_30-1.0-py3-none-any.whl (181.5 MB)",
        "  40 of 44 packages",
        "  installing 44 packages",
    ]
    assert (tmp_path / ".venv" / ".ready").exists()


def test_setup_that_fails_says_why(tmp_path: Path) -> None:
    done = make_setup(tmp_path, "cat said; echo ERROR: no route to host >&2; exit 1")
    assert done.returncode != 0
    assert done.stdout.splitlines()[-2:] == [
        "ERROR: no route to host",
        "pip could not install; all that it said is in .venv/setup.log",
    ]
    assert not (tmp_path / ".venv" / ".ready").exists()
    assert "Collecting package-43" in (tmp_path / ".venv" / "setup.log").read_text(encoding="utf-8")
