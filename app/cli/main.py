"""The command `pulsehouse`: its commands, and how their errors look."""

from typing import Any

import rich_click as click

from app.cli.demo import demo
from app.cli.keys import key
from app.cli.migrate import migrate
from app.cli.replay import replay
from app.cli.serve import serve
from app.cli.sites import site
from app.cli.watch import watch
from app.domain.errors import Refusal, StartupError
from app.store.engine import EngineError


class OneLineErrors(click.RichGroup):
    """Shows what can go wrong as one line, without a traceback, and ends with exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except EngineError as error:
            raise click.ClickException(
                f"ClickHouse failed: {error.detail or error}. Is PULSEHOUSE_CLICKHOUSE_URL right and the server up?"
            ) from None
        except (StartupError, Refusal) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pulsehouse")
def main() -> None:
    """Pulsehouse: who is on my site right now?

    Settings come from PULSEHOUSE_* variables; docs/operations.md lists them. Without PULSEHOUSE_CLICKHOUSE_URL the
    embedded engine is used, with its data in PULSEHOUSE_DATA_DIR.
    """


for command in (serve, demo, migrate, site, key, replay, watch):
    main.add_command(command)
