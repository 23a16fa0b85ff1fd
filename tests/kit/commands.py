"""Runs several commands in one process, as each start of the embedded engine takes its time.

`python -m tests.kit.commands` reads a JSON array of their arguments; prints what each prints, a line for each.
"""

import json
import sys

from click.testing import CliRunner

from app.cli.main import main

for command in json.load(sys.stdin):
    result = CliRunner().invoke(main, command, prog_name="pulsehouse")
    if result.exit_code:
        sys.exit(result.stderr)
    sys.stdout.write(result.stdout)
