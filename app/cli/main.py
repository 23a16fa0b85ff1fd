"""The command `pulsehouse`: its commands, and how their errors look."""

import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any

import rich_click as click

from app.client.plain_text import clean
from app.domain.errors import Refusal, StartupError

COMMANDS = {
    "serve": "app.cli.serve:serve",
    "demo": "app.cli.demo:demo",
    "migrate": "app.cli.migrate:migrate",
    "site": "app.cli.sites:site",
    "key": "app.cli.keys:key",
    "analyst": "app.cli.analysts:analyst",
    "replay": "app.cli.replay:replay",
    "watch": "app.cli.watch:watch",
}
"""Where each command is. It is imported when it is asked for: `watch` needs neither the server nor the driver."""

WAYS_OUT = {
    None: "is PULSEHOUSE_CLICKHOUSE_URL right and the server up?",
    81: "create it, or let the user of PULSEHOUSE_CLICKHOUSE_URL create it",
    164: "the service needs a user that may write; docs/operations.md lists the rights",
    192: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
    194: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
    493: "there is a user of that name; remove it first",
    497: "docs/operations.md lists the rights that the service needs",
    514: "this ClickHouse cannot create users: it has no user directory that SQL may write to",
    516: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
}
"""What to do about an error of ClickHouse, by its number; None where it gave no answer."""

_SAID = re.compile(r"DB::Exception: (.+?)\.? \([A-Z_0-9]+\)")


class Commands(click.RichGroup):
    """Imports commands late; shows what can go wrong as one line, with exit code 1, or 2 for wrong usage."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def main(self, args: Sequence[str] | None = None, *rest: Any, standalone_mode: bool = True, **more: Any) -> Any:
        main: Any = super().main
        if not standalone_mode:
            return main(args, *rest, standalone_mode=False, **more)
        try:
            code = main(args, *rest, standalone_mode=False, **more)
        except click.ClickException as error:
            message = " ".join(error.format_message().split())
            if isinstance(error, click.UsageError) and error.ctx:
                message = f"{message.removesuffix('.')}; see: {error.ctx.command_path} --help"
            click.echo(f"Error: {clean(message)}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(130)
        sys.exit(code or 0)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (StartupError, Refusal) as error:
            raise click.ClickException(_explain(error)) from None
        except (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError) as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None
        except ImportError as error:
            if getattr(error.__cause__, "name", "") != "chdb":
                raise
            raise click.ClickException(
                "this installation has no embedded engine: set PULSEHOUSE_CLICKHOUSE_URL to a ClickHouse server, "
                "or install pulsehouse[embedded]"
            ) from None


def _explain(error: Exception) -> str:
    from app.store.engine import EngineError  # not above: it brings the driver along

    if not isinstance(error, EngineError):
        return str(error)
    # What ClickHouse said, without the frame that the driver puts around it.
    said = _SAID.search(error.detail)
    what = said[1] if said else error.detail.partition(", server response: <")[0] or str(error)
    way_out = WAYS_OUT.get(error.code, "see docs/operations.md, When something is wrong")
    return f"ClickHouse: {what}; {way_out}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pulsehouse")
def main() -> None:
    """Pulsehouse: who is on my site right now?

    Settings come from PULSEHOUSE_* variables; docs/operations.md lists them. Without PULSEHOUSE_CLICKHOUSE_URL the
    embedded engine is used, with its data in PULSEHOUSE_DATA_DIR.
    """
