"""How commands print: tables for people, JSON for scripts; and nothing that steers the terminal."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import rich_click as click
from rich.cells import cell_len

from app.client.plain_text import clean, steers
from app.domain.errors import InvalidValue

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")

GAP = "   "


@contextmanager
def usage_errors() -> Iterator[None]:
    """Tell of a value that is not what it must be by the option that gave it."""
    try:
        yield
    except InvalidValue as error:
        raise click.UsageError(f"--{error.field}: {error.problem}") from None


def print_json(value: Any) -> None:
    """Print a value as JSON, in which such characters are escaped."""
    text = msgspec.json.encode(value).decode()
    click.echo("".join(json.dumps(character)[1:-1] if steers(character) else character for character in text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows under their columns, or `empty` where there are none. Each row is one line, whatever its width."""
    if not rows:
        click.echo(empty)
        return
    cells = [list(columns), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo(click.style(GAP.join(padded).rstrip(), bold=row is cells[0]))
