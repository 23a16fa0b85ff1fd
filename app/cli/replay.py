"""`pulsehouse replay`: sends the page loads of a web server's log through POST /api/track."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.output import as_json_option, print_json
from app.client.ask import client_options, is_token
from app.client.log_replay import Pace, replay_log
from app.client.log_source import Source
from app.client.sender import Sender, Tally

DRAW_EVERY_S = 0.2
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option("--site", "site_id", required=True, metavar="ID", help="Site to send to.")
@click.option("--url", required=True, envvar="PULSEHOUSE_URL", show_envvar=True, help="Where the service runs.")
@click.option(
    "--key", "token", required=True, envvar="PULSEHOUSE_KEY", show_envvar=True, metavar="TOKEN",
    help="API key of scope write.",
)  # fmt: skip
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), metavar="X", help="So many times as fast as logged; default 1."
)
@click.option("--max", "at_once", is_flag=True, help="As fast as it goes.")
@click.option(
    "--idempotent", is_flag=True, help="Send again what may be stored already, under the same Idempotency-Key; slower."
)
@as_json_option
def replay(
    file: str,
    site_id: str,
    url: str,
    token: str,
    speed: float | None,
    at_once: bool,
    idempotent: bool,
    as_json: bool,
) -> None:
    """Send the page loads of a web server's log through /api/track.

    FILE is an Apache or nginx log in the combined format, plain or gzip; - reads it from standard input.

    A page load is a GET answered 200 or 304 whose path is not a file such as .css, .png or .pdf. It is sent with the
    visitor's address and User-Agent and counts from the moment it arrives; the service refuses bots as it always does.
    Of a line that is not one, the first of these is the reason: malformed, asset, method, status.

    Gaps of over an hour between two lines are not waited for, so neither a night nor a line with an odd date holds
    the others up.

    Ends with exit code 1 when a signal failed or no line is one of such a log, 130 after Ctrl-C, 143 after SIGTERM.
    """
    if at_once and speed is not None:
        raise click.UsageError("--speed and --max exclude each other")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise click.UsageError(f"--url {url!r} is not an address such as http://127.0.0.1:8000")
    if not site_id.strip():
        raise click.UsageError("--site is empty; pulsehouse site list shows the ids")
    if not is_token(token):
        raise click.UsageError("--key is not a token; create one with: pulsehouse key create --scope write")
    pace = None if at_once else Pace(speed or 1)
    with _open(file) as source:
        tally, fatal, code = asyncio.run(_replay(source, site_id, url, token, pace, idempotent=idempotent))
    if not (fatal or code) and tally.lines and tally.malformed == tally.lines:
        what = f"not one of its {tally.lines:,} lines is a request"
        fatal = f"{file} is no log in the combined format of Apache and nginx: {what}"
    if fatal and tally.sent and not tally.answered:
        raise click.ClickException(fatal)
    if as_json:
        print_json(tally)
    else:
        _print(tally)
    if fatal:
        raise click.ClickException(fatal)
    if code or tally.failed:
        raise SystemExit(code or 1)


@contextlib.contextmanager
def _open(file: str) -> Iterator[Source]:
    descriptor = 0 if file == "-" else os.open(file, os.O_RDONLY)
    try:
        yield Source(descriptor)
    finally:
        if descriptor:
            os.close(descriptor)


async def _replay(
    source: Source, site_id: str, url: str, token: str, pace: Pace | None, *, idempotent: bool
) -> tuple[Tally, str | None, int]:
    """Run a replay with its progress bar; return the tally, what ended it early and the exit code of a signal."""
    tally, stop, code = Tally(), asyncio.Event(), 0

    def end(number: signal.Signals) -> None:
        nonlocal code
        code = EXIT_CODES[number]
        stop.set()

    for number in EXIT_CODES:
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    async with httpx.AsyncClient(**client_options(url, token)) as client:
        sender = Sender(client, site_id, tally, stop, idempotent=idempotent)
        showing = asyncio.create_task(_show_progress(source, tally))
        problem = await replay_log(source, sender, pace, tally, stop)
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    return tally, sender.fatal or (f"the log could not be read to its end: {problem}" if problem else None), code


async def _show_progress(source: Source, tally: Tally) -> None:
    """Draw the progress on a terminal's standard error until cancelled."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=None),
        *([TaskProgressColumn(), TimeRemainingColumn(compact=True)] if source.size_bytes else []),
        TextColumn("{task.fields[answered]:,} sent · {task.fields[rate]:,.0f}/s{task.fields[failed]}"),
    )
    began_s = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=source.size_bytes, answered=0, rate=0, failed="")
        while True:
            answered = tally.answered + tally.failed
            progress.update(
                task,
                completed=source.position_bytes,
                answered=answered,
                rate=answered / max(time.monotonic() - began_s, 0.1),
                failed=f" · [red]{tally.failed:,} failed[/red]" if tally.failed else "",
            )
            await asyncio.sleep(DRAW_EVERY_S)


def _print(tally: Tally) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    rows: list[tuple[str, int]] = [
        ("lines", tally.lines),
        ("malformed", tally.malformed),
        ("not a page", tally.asset + tally.method + tally.status),
        ("  asset", tally.asset),
        ("  method", tally.method),
        ("  status", tally.status),
        ("sent", tally.sent),
        ("  refused as bots", tally.refused_as_bots),
        ("  stored", tally.stored),
        ("  failed", tally.failed),
    ]
    if tally.unsent:
        rows.append(("not sent", tally.unsent))
    for name, count in rows:
        table.add_row(name, f"{count:,}", style="red" if name == "  failed" and count else None)
    console = Console(highlight=False)
    console.print(table)
    rate = tally.sent / tally.seconds if tally.seconds else 0
    console.print(f"{tally.seconds:.1f} s, {rate:,.0f} signals/s", style="dim")
    if tally.first_error:
        console.print(f"first failure: {tally.first_error}", style="red", markup=False)
