"""`pulsehouse replay`: sends the page loads of a web server's log through POST /api/track."""

import asyncio
import contextlib
import os
import select
import signal
import stat
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import httpx
import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.access_log import LINE_MAX_BYTES, PageLoad, read_line
from app.cli.output import as_json_option, print_json
from app.domain.errors import CommitUnclear

BATCH_MAX_SIGNALS = 500
REQUESTS_AT_ONCE = 4
READ_BYTES = 16_384
LINGER_S = 0.1
"""How long a signal may wait for others to travel with it."""
RETRIES_MAX = 10
"""How often one batch is sent again after the service said that it did not take it."""
RETRY_AFTER_DEFAULT_S = 1.0
RETRY_AFTER_MAX_S = 30.0
GRACE_S = 5.0
"""How long requests under way may take to be answered after Ctrl-C."""
POLL_S = 0.2
TIMEOUT = httpx.Timeout(30, connect=5)
# A connection idle for longer might be closed by the other side just as a request goes out, which would be unclear.
LIMITS = httpx.Limits(max_connections=REQUESTS_AT_ONCE, keepalive_expiry=5)
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
GZIP_MAGIC = b"\x1f\x8b"


class Tally(msgspec.Struct, rename="camel"):
    """What became of the lines of a log.

    lines == malformed + asset + method + status + sent + unsent, and sent == stored + refused_as_bots + failed.
    """

    lines: int = 0
    malformed: int = 0
    asset: int = 0
    method: int = 0
    status: int = 0
    sent: int = 0
    refused_as_bots: int = 0
    stored: int = 0
    failed: int = 0
    unsent: int = 0
    """Page loads read but not sent, because the replay was stopped."""
    seconds: float = 0.0
    first_error: str | None = None


class _Signal(msgspec.Struct, rename="camel"):
    path: str
    referrer: str
    ip: str
    user_agent: str
    type: Literal["pageview"] = "pageview"


class _Batch(msgspec.Struct, rename="camel"):
    site_id: str
    events: list[_Signal]
    batch: bool = True


class _Tracked(msgspec.Struct):
    success: Literal[True]
    count: int


class _Refused(msgspec.Struct):
    error: str


class Source:
    """The lines of a log, plain or gzip, read in pieces."""

    def __init__(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        """Of the file as it lies there, compressed or not; None for a pipe."""
        self.position_bytes = 0
        self._descriptor = descriptor
        self._is_gzip: bool | None = None
        self._inflater: zlib._Decompress | None = None

    async def pieces(self) -> AsyncIterator[list[bytes]]:
        """Yield lines as they come; an empty list when none came for a while. Raises EOFError or zlib.error for
        damaged gzip data, OSError when it cannot be read."""
        rest = b""
        while (data := await asyncio.to_thread(self._read)) != b"":
            *lines, rest = (rest + (data or b"")).split(b"\n")
            rest = rest[: LINE_MAX_BYTES + 1]  # still too long, so still malformed, and memory stays bounded
            yield lines
        if rest:
            yield [rest]

    def _read(self) -> bytes | None:
        """Return some bytes, none at the end, or None when there are none yet."""
        # Waiting in a read could not be ended by Ctrl-C.
        if not select.select([self._descriptor], [], [], POLL_S)[0]:
            return None
        data = os.read(self._descriptor, READ_BYTES)
        self.position_bytes += len(data)
        if self._is_gzip is None:
            self._is_gzip = data.startswith(GZIP_MAGIC)
        if not self._is_gzip:
            return data
        if not data and self._inflater:
            raise EOFError("the gzip data ends too early")
        return (self._inflate(data) or None) if data else b""

    def _inflate(self, data: bytes) -> bytes:
        """Decompress; a file may hold several gzip members, as `cat a.gz b.gz` makes, and zeros after the last."""
        out = []
        while data := data if self._inflater else data.lstrip(b"\0"):
            self._inflater = self._inflater or zlib.decompressobj(16 + zlib.MAX_WBITS)
            out.append(self._inflater.decompress(data))
            data = self._inflater.unused_data
            if self._inflater.eof:
                self._inflater = None
        return b"".join(out)


class Pace:
    """When each page load of a log is due, `speed` times as fast as it was logged."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_s = 0.0
        self._first: datetime | None = None
        self._latest: datetime | None = None

    def due_s(self, logged: datetime) -> float:
        """Return the time.monotonic() at which to send; never before that of the line above it.

        Servers write a line when the request ends, so times in a log go back and forth a little.
        """
        if self._first is None or self._latest is None:
            self._began_s, self._first, self._latest = time.monotonic(), logged, logged
        self._latest = max(self._latest, logged)
        return self._began_s + (self._latest - self._first).total_seconds() / self._speed


class Sender:
    """Sends batches to one site and counts what became of their signals."""

    def __init__(self, client: httpx.AsyncClient, site_id: str, token: str, tally: Tally, stop: asyncio.Event) -> None:
        self.fatal: str | None = None
        """Why nothing more can be sent: one line with the way out."""
        self._client = client
        self._site_id = site_id
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._tally = tally
        self._stop = stop

    async def send(self, batch: list[_Signal]) -> None:
        """Send a batch; where a signal is refused, halve it until the refused one is alone."""
        tally = self._tally
        tally.sent += len(batch)
        todo = [batch]
        try:
            while todo and self.fatal is None:
                response = await self._deliver(todo[-1])
                signals = todo.pop()
                if response is not None:
                    todo += self._count(signals, response)
        except asyncio.CancelledError:
            self._fail(todo.pop(), "stopped before the answer came; may or may not be stored")
            raise
        finally:
            rest = sum(map(len, todo))
            tally.sent -= rest
            tally.unsent += rest

    def _count(self, signals: list[_Signal], response: httpx.Response) -> list[list[_Signal]]:
        """Count what a final answer says; return the halves that are to be sent instead."""
        if response.status_code == 200:
            try:
                stored = msgspec.json.decode(response.content, type=_Tracked).count
            except msgspec.DecodeError:
                self._give_up(signals, "the answer is not that of POST /api/track; check --url")
                return []
            self._tally.stored += stored
            self._tally.refused_as_bots += len(signals) - stored
            return []
        error = _error_of(response)
        if response.status_code in (400, 413) and len(signals) > 1:
            half = len(signals) // 2
            return [signals[half:], signals[:half]]
        if response.status_code == 401:
            self._give_up(signals, f"{error} (401); create a key with: pulsehouse key create --scope write")
        elif response.status_code == 403:
            self._give_up(signals, f"{error} (403); the key needs scope write and has to reach site {self._site_id}")
        elif response.status_code == 404:
            self._give_up(signals, f"{error} (404); check --site {self._site_id}, the key's tenant and --url")
        elif response.is_redirect:
            self._give_up(signals, f"redirected to {response.headers.get('location')}; use its address as --url")
        else:
            self._fail(signals, f"{error} ({response.status_code})")
        return []

    async def _deliver(self, signals: list[_Signal]) -> httpx.Response | None:
        """Return the service's answer, or None after counting why there is none.

        What the service says it did not take (429, 503) or never got (no connection) is sent again a few times. After
        an unclear failure (time-out, lost connection, unconfirmed commit) it may be stored already, so it is not.
        """
        body = msgspec.json.encode(_Batch(self._site_id, signals))
        for attempt in range(RETRIES_MAX + 1):
            last = attempt == RETRIES_MAX or self._stop.is_set()
            wait_s = RETRY_AFTER_DEFAULT_S
            try:
                response = await self._client.post("/api/track", content=body, headers=self._headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                what = f"no connection to {self._client.base_url}: {error or 'timed out'}"
                if not self._tally.stored + self._tally.refused_as_bots:
                    self._give_up(signals, f"{what}; is the service running there?")
                    return None
                if last:
                    self._fail(signals, what)
                    return None
            except httpx.TransportError as error:
                self._fail(signals, f"no answer ({type(error).__name__}); may or may not be stored")
                return None
            else:
                unclear = _error_of(response) == CommitUnclear.message
                if response.status_code not in (429, 503) or unclear or last:
                    return response
                wait_s = _retry_after_s(response)
            await pause(self._stop, wait_s)
        return None

    def _fail(self, signals: list[_Signal], error: str) -> None:
        self._tally.failed += len(signals)
        self._tally.first_error = self._tally.first_error or error

    def _give_up(self, signals: list[_Signal], error: str) -> None:
        self._fail(signals, error)
        self.fatal = self.fatal or error
        self._stop.set()


def _error_of(response: httpx.Response) -> str:
    try:
        return msgspec.json.decode(response.content, type=_Refused).error
    except msgspec.DecodeError:
        return response.reason_phrase or "refused"


def _retry_after_s(response: httpx.Response) -> float:
    try:
        wait_s = float(response.headers.get("retry-after", ""))
    except ValueError:
        return RETRY_AFTER_DEFAULT_S
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)


async def pause(stop: asyncio.Event, duration_s: float) -> None:
    """Sleep; a set `stop` ends it."""
    if duration_s > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), duration_s)


async def replay_log(
    source: Source, sender: Sender, pace: Pace | None, tally: Tally, stop: asyncio.Event
) -> str | None:
    """Send the page loads of a log, as fast as it goes without a pace, until its end or `stop`.

    Returns what is wrong with the log, where it cannot be read to its end.
    """
    began_s = time.monotonic()
    # One batch waits, one is being read, and each worker has one: memory does not grow with the log.
    queue: asyncio.Queue[list[_Signal] | None] = asyncio.Queue(maxsize=1)
    reading = asyncio.create_task(_read_log(source, queue, pace, tally, stop))
    workers = [asyncio.create_task(_work(queue, sender, tally, stop)) for _ in range(REQUESTS_AT_ONCE)]
    stopped = asyncio.create_task(stop.wait())
    tasks = {reading, *workers}
    while not stopped.done() and any(not task.done() for task in tasks):
        await asyncio.wait({stopped, *(t for t in tasks if not t.done())}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(tasks, timeout=GRACE_S)
    for task in (*tasks, stopped):
        task.cancel()
    await asyncio.gather(*tasks, stopped, return_exceptions=True)
    tally.seconds = round(time.monotonic() - began_s, 3)
    for worker in workers:
        if not worker.cancelled():
            worker.result()
    return None if reading.cancelled() else reading.result()


async def _work(
    queue: "asyncio.Queue[list[_Signal] | None]", sender: Sender, tally: Tally, stop: asyncio.Event
) -> None:
    while (batch := await queue.get()) is not None:
        if stop.is_set():
            tally.unsent += len(batch)
        else:
            await sender.send(batch)


async def _read_log(
    source: Source,
    queue: "asyncio.Queue[list[_Signal] | None]",
    pace: Pace | None,
    tally: Tally,
    stop: asyncio.Event,
) -> str | None:
    """Put the log's page loads into the queue, in batches, each when it is due; then None for each worker."""
    batch: list[_Signal] = []
    opened_s = 0.0

    async def flush() -> None:
        nonlocal batch
        full, batch = batch, []
        await queue.put(full)

    error = None
    try:
        async for lines in source.pieces():
            for line in lines:
                if stop.is_set():
                    break
                tally.lines += 1
                page = read_line(line)
                if not isinstance(page, PageLoad):
                    setattr(tally, page, getattr(tally, page) + 1)
                    continue
                if pace is not None:
                    due_s = pace.due_s(page.time)
                    if batch and due_s > opened_s + LINGER_S:
                        await flush()
                    await pause(stop, due_s - time.monotonic())
                if not batch:
                    opened_s = time.monotonic()
                batch.append(_Signal(page.path, page.referrer, page.ip, page.user_agent))
                if len(batch) == BATCH_MAX_SIGNALS:
                    await flush()
            if batch and time.monotonic() > opened_s + LINGER_S:
                await flush()
            if stop.is_set():
                break
    except (EOFError, OSError, zlib.error) as problem:
        error = str(problem)
    if batch:
        await flush()
    for _ in range(REQUESTS_AT_ONCE):
        await queue.put(None)
    return error


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
@as_json_option
def replay(file: str, site_id: str, url: str, token: str, speed: float | None, at_once: bool, as_json: bool) -> None:
    """Send the page loads of a web server's log through /api/track.

    FILE is an Apache or nginx log in the combined format, plain or gzip; - reads it from standard input.

    A page load is a GET answered 200 or 304 whose path is not a file such as .css, .png or .pdf. It is sent with the
    visitor's address and User-Agent and counts from the moment it arrives; the service refuses bots as it always does.
    Of a line that is not one, the first of these is the reason: malformed, asset, method, status.

    Ends with exit code 1 when a signal failed, 130 after Ctrl-C, 143 after SIGTERM.
    """
    if at_once and speed is not None:
        raise click.UsageError("--speed and --max exclude each other")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise click.UsageError(f"--url {url!r} is not an address such as http://127.0.0.1:8000")
    if not site_id.strip():
        raise click.UsageError("--site is empty; pulsehouse site list shows the ids")
    if not (token.isascii() and token.isprintable() and token.strip()):
        raise click.UsageError("--key is not a token; create one with: pulsehouse key create --scope write")
    pace = None if at_once else Pace(speed or 1)
    with _open(file) as source:
        tally, fatal, code = asyncio.run(_replay(source, site_id, url, token, pace))
    if fatal and not tally.stored + tally.refused_as_bots:
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
    source: Source, site_id: str, url: str, token: str, pace: Pace | None
) -> tuple[Tally, str | None, int]:
    """Run a replay with its progress bar; return the tally, what ended it early and the exit code of a signal."""
    tally, stop, code = Tally(), asyncio.Event(), 0

    def end(number: signal.Signals) -> None:
        nonlocal code
        code = EXIT_CODES[number]
        stop.set()

    for number in EXIT_CODES:
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    async with httpx.AsyncClient(base_url=url.rstrip("/"), timeout=TIMEOUT, limits=LIMITS) as client:
        sender = Sender(client, site_id, token, tally, stop)
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
            answered = tally.stored + tally.refused_as_bots + tally.failed
            progress.update(
                task,
                completed=source.position_bytes,
                answered=answered,
                rate=answered / max(time.monotonic() - began_s, 0.1),
                failed=f" · [red]{tally.failed:,} failed[/red]" if tally.failed else "",
            )
            await asyncio.sleep(POLL_S)


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
