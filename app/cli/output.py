"""How commands print: tables for people, JSON for scripts."""

from collections.abc import Sequence
from typing import Any

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(value: Any) -> None:
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows under their columns, or `empty` where there are none."""
    if not rows:
        Console().print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
