"""The package as it is released: a wheel that works where nothing of the checkout is."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.kit.ports import free_port
from tests.kit.service import COMMAND_WITHIN_S, ROOT, end_with_tests, environment, is_ready
from tests.kit.waiting import wait_until


class Installed:
    """The command of an installed wheel."""

    def __init__(self, folder: Path) -> None:
        self._python = folder / "bin" / "python"
        self._command = str(folder / "bin" / "pulsehouse")
        self._elsewhere = folder / "elsewhere"
        self._elsewhere.mkdir()

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._command, *arguments],
            cwd=self._elsewhere,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
        )

    def run_without_engine(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The same where chdb is not installed."""
        code = "import sys; sys.modules['chdb'] = None; from app.cli.main import main; main()"
        return subprocess.run(
            [self._python, "-c", code, *arguments],
            cwd=self._elsewhere,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
        )

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._command, *arguments],
            cwd=self._elsewhere,
            env=environment(**settings),
            preexec_fn=end_with_tests,
        )

    def origin(self, module: str) -> str:
        """The file that a module comes from."""
        code = f"import {module}; print({module}.__file__)"
        return subprocess.check_output([self._python, "-c", code], cwd=self._elsewhere, text=True).strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own; other packages are those of the tests, as nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    # Not through site.addsitedir: that would follow the editable installation to the checkout.
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    (site / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + os.linesep, encoding="utf-8")
    return Installed(folder / "venv")


def test_the_wheel_brings_all_that_it_needs(installed: Installed, tmp_path: Path) -> None:
    assert Path(installed.origin("app")).is_relative_to(tmp_path.parent)
    assert installed.run("--version").stdout.strip().endswith(version("pulsehouse"))
    applied = json.loads(installed.run("migrate", "--json", data_dir=str(tmp_path / "data")).stdout)["applied"]
    assert applied == sorted(path.stem for path in (ROOT / "migrations").glob("*.sql"))


def test_without_the_embedded_engine_and_a_server_one_line_says_what_to_do(
    installed: Installed, tmp_path: Path
) -> None:
    for command in (("migrate",), ("serve", "--port", str(free_port())), ("demo", "--port", str(free_port()))):
        result = installed.run_without_engine(*command, data_dir=str(tmp_path / "data"))
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.endswith(
            " this installation has no embedded engine: set PULSEHOUSE_CLICKHOUSE_URL to a ClickHouse server, "
            "or install pulsehouse[embedded]\n",
        )


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_the_wheel_serves(installed: Installed, tmp_path: Path, command: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    process = installed.start(command, "--port", url.rpartition(":")[2], data_dir=str(tmp_path / "data"))
    try:
        wait_until(lambda: process.poll() is not None or is_ready(url))
        assert "Pulsehouse" in httpx.get(url).text
        assert httpx.get(f"{url}/openapi/openapi.json").json()["info"]["version"] == version("pulsehouse")
        process.send_signal(signal.SIGTERM)
        assert process.wait(COMMAND_WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
