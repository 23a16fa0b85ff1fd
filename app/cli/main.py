"""The command `pulsehouse`: its commands, and how their errors look."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import rich_click as click

from app.cli.explain import explain
from app.client.plain_text import clean
from app.domain.errors import Refusal, StartupError

COMMANDS = {
    "serve": "app.cli.serve:serve",
    "demo": "app.cli.demo:demo",
    "migrate": "app.cli.migrate:migrate",
    "doctor": "app.cli.doctor:doctor",
    "database": "app.cli.upkeep:database",
    "site": "app.cli.sites:site",
    "key": "app.cli.keys:key",
    "analyst": "app.cli.analysts:analyst",
    "replay": "app.cli.replay:replay",
    "watch": "app.cli.watch:watch",
}
"""Where each command is. It is imported when it is asked for: `watch` needs neither the server nor the driver."""


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
            raise click.ClickException(explain(error)) from None
        except (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError) as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pulsehouse")
def main() -> None:
    """Pulsehouse: who is on my site right now?

    Settings come from PULSEHOUSE_* variables; docs/operations.md lists them. Without PULSEHOUSE_CLICKHOUSE_URL the
    embedded engine is used, with its data in PULSEHOUSE_DATA_DIR.
    """
