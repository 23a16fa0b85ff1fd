"""`pulsehouse replay` sends a log's page loads through the real service, and says what became of each line."""

import asyncio
import gzip
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from app.cli.replay import replay
from app.client.access_log import LINE_MAX_BYTES, read_line
from app.client.ask import NoAnswer, read_answer
from app.client.log_replay import BATCH_MAX_BYTES, BATCH_MAX_SIGNALS, Pace, replay_log
from app.client.log_source import PIECE_MAX_BYTES, Source
from app.client.sender import RETRIES_MAX, Sender, Tally
from app.domain.signals import TEXT_MAX_CHARACTERS
from app.settings import Settings
from app.store.engine import EngineError
from app.store.statements import Statement
from app.wiring import create_app
from tests.conftest import Api
from tests.kit.listening import listening
from tests.kit.user_agents import BROWSER, GOOGLEBOT
from tests.kit.waiting import GIVE_UP_S, until


def line(
    path: str = "/",
    *,
    method: str = "GET",
    status: int = 200,
    agent: str = BROWSER,
    second: int = 0,
    referrer: str = "-",
    when: str = "",
) -> bytes:
    when = when or f"17/May/2015:10:{second // 60:02}:{second % 60:02} +0000"
    return f'203.0.113.9 - - [{when}] "{method} {path} HTTP/1.1" {status} 5 "{referrer}" "{agent}"\n'.encode()


def tally(**given: Any) -> dict[str, Any]:
    """A whole tally, but for the seconds it took."""
    return {**msgspec.to_builtins(Tally()), **given}


async def run_replay(
    client: httpx.AsyncClient,
    log: Path,
    *,
    token: str = "",
    speed: float | None = None,
    stop: asyncio.Event | None = None,
    idempotent: bool = False,
) -> tuple[dict[str, Any], str | None]:
    """Replay a file; return the tally without its seconds, and what ended it early."""
    client.headers["Authorization"] = f"Bearer {token}"
    counts, stop = Tally(), stop or asyncio.Event()
    sender = Sender(client, "site_a", counts, stop, idempotent=idempotent)
    with log.open("rb") as file:
        problem = await replay_log(Source(file.fileno()), sender, Pace(speed) if speed else None, counts, stop)
    return {**msgspec.to_builtins(counts), "seconds": 0.0}, sender.fatal or problem


LogOf = Callable[..., Path]


@pytest.fixture
def log_of(tmp_path: Path) -> LogOf:
    def write(*lines: bytes) -> Path:
        (tmp_path / "access.log").write_bytes(b"".join(lines))
        return tmp_path / "access.log"

    return write


# Through the real service


async def test_each_kind_of_line_is_counted_and_the_page_loads_of_people_are_stored(api: Api, log_of: LogOf) -> None:
    log = log_of(
        line("/"),
        line("/pricing?plan=2"),
        line("/", agent=GOOGLEBOT),
        line("/logo.png"),
        line("/form", method="POST"),
        line("/gone", status=404),
        b"what is this\n",
    )
    counts, problem = await run_replay(api.client, log, token=api.write)
    assert problem is None
    assert counts == tally(lines=7, malformed=1, asset=1, method=1, status=1, sent=3, refusedAsBots=1, stored=2)
    answer = await api.realtime()
    assert (answer["activeVisitors"], answer["pageviewsLast5Min"]) == (1, 2)
    assert answer["pageBreakdown"] == {"/pricing": 1}


async def test_a_signal_that_is_refused_takes_no_other_with_it(api: Api, log_of: LogOf) -> None:
    log = log_of(
        *(line(f"/{number}") for number in range(300)),
        line("/" + "a" * 3000),
        *(line(f"/{number}") for number in range(300)),
        line(r"/\x07"),
    )
    counts, _ = await run_replay(api.client, log, token=api.write)
    assert counts["firstError"].startswith("path: ")
    assert counts == tally(lines=602, sent=602, stored=600, failed=2, firstError=counts["firstError"])
    assert await api.select(f"SELECT count() FROM {api.store.engine.database}.pageviews") == "600"


async def test_a_long_user_agent_is_cut_as_that_of_a_visitor_is(api: Api, log_of: LogOf) -> None:
    agent = BROWSER + " x" * TEXT_MAX_CHARACTERS
    counts, _ = await run_replay(api.client, log_of(line(agent=agent), line(agent=agent + "y")), token=api.write)
    assert counts == tally(lines=2, sent=2, stored=2)
    assert (await api.realtime())["activeVisitors"] == 1


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://News.example/a/path?and=a#fragment", "news.example"),
        ("http://news.example:8080/", "news.example"),
        ("news.example/a", "news.example"),
        ("android-app://com.example.reader/", "com.example.reader"),
        ("http://[2001:db8::1]:8080/a", "2001:db8::1"),
        ("-", ""),
        ("about:blank#" + "x" * 5000, "about"),
        ("https://" + "a" * 5000 + ".example/", ""),
    ],
)
async def test_of_a_referrer_the_host_is_sent_and_stored(api: Api, log_of: LogOf, referrer: str, host: str) -> None:
    client, batches = service(stored)
    log = log_of(line(referrer=referrer))
    await run_replay(client, log)
    assert batches[0][0]["referrer"].strip("[]") == host
    counts, _ = await run_replay(api.client, log, token=api.write)
    assert counts == tally(lines=1, sent=1, stored=1)
    assert await api.select(f"SELECT referrer FROM {api.store.engine.database}.pageviews") == host


async def test_long_lines_lose_no_page_load_over_a_real_connection(api: Api, log_of: LogOf) -> None:
    log = log_of(*(line(f"/{number}/" + "a" * 2000, agent=f"{BROWSER} {'b' * 2000}") for number in range(1200)))
    async with listening(unlimited(api)) as url:
        code, out, _ = await pulsehouse(
            *("replay", str(log), "--site", "site_a", "--url", url, "--key", api.write, "--max", "--json")
        )
    assert {**json.loads(out), "seconds": 0.0} == tally(lines=1200, sent=1200, stored=1200)
    assert code == 0


async def test_the_real_log_is_stored_without_its_bots(api: Api, real_log: Path) -> None:
    counts, _ = await run_replay(api.client, real_log, token=api.write)
    bots, stored = counts["refusedAsBots"], counts["stored"]
    assert counts == tally(lines=7000, asset=3894, method=22, status=190, sent=2894, refusedAsBots=bots, stored=stored)
    assert bots + stored == 2894
    assert bots > 1000
    assert stored > 1500
    assert (await api.realtime())["pageviewsLast5Min"] == stored


def unlimited(api: Api) -> Any:
    """The application without a rate limit."""
    return create_app(Settings(track_max_signals_per_minute=0), api.store)


async def pulsehouse(
    *arguments: str,
    stdin: bytes | None = None,
    interrupt: int | None = None,
    after: Callable[[], Awaitable[Any]] | None = None,
) -> tuple[int, str, str]:
    """Run the command line; return its exit code and what it wrote to standard output and standard error.

    With `interrupt` its standard input stays open, and it gets that signal when `after` has returned.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from app.cli.main import main; main(prog_name='pulsehouse')",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env={name: value for name, value in os.environ.items() if not name.startswith("PULSEHOUSE_")},
    )
    if interrupt is None:
        out, err = await process.communicate(stdin)
    else:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(stdin or b"")
        await process.stdin.drain()
        if after:
            await after()
        process.send_signal(interrupt)
        out, err = await asyncio.wait_for(asyncio.gather(process.stdout.read(), process.stderr.read()), 5)
        await process.wait()
    return process.returncode or 0, out.decode(), " ".join(err.decode().replace("│", " ").split())


@pytest.mark.any_engine
async def test_the_command_prints_a_table_or_an_object(api: Api, log_of: LogOf) -> None:
    log = log_of(line("/"), line("/", agent=GOOGLEBOT), line("/a.css"))
    async with listening(unlimited(api)) as url:
        here = ("replay", str(log), "--site", "site_a", "--url", url, "--key", api.write, "--max")
        code, out, _ = await pulsehouse(*here)
        assert code == 0
        assert [row.split() for row in out.splitlines()[:10]] == [
            ["lines", "3"],
            ["malformed", "0"],
            ["not", "a", "page", "1"],
            ["asset", "1"],
            ["method", "0"],
            ["status", "0"],
            ["sent", "2"],
            ["refused", "as", "bots", "1"],
            ["stored", "1"],
            ["failed", "0"],
        ]
        code, out, err = await pulsehouse(*here, "--json")
        assert (code, err) == (0, "")
        assert {**json.loads(out), "seconds": 0.0} == tally(lines=3, asset=1, sent=2, refusedAsBots=1, stored=1)


@pytest.mark.any_engine
async def test_the_command_reads_gzip_from_standard_input_and_a_failure_is_exit_code_1(api: Api) -> None:
    data = gzip.compress(line("/") + line("/" + "a" * 3000)) + gzip.compress(line("/b"))
    async with listening(unlimited(api)) as url:
        code, out, _ = await pulsehouse(
            "replay", "-", "--site", "site_a", "--url", url, "--key", api.write, "--max", "--json", stdin=data
        )
    counts = json.loads(out)
    assert code == 1
    assert (counts["lines"], counts["stored"], counts["failed"]) == (3, 2, 1)
    assert counts["firstError"].startswith("path: ")


async def test_a_file_that_is_no_log_is_said_to_be_none_with_exit_code_1(log_of: LogOf) -> None:
    log = log_of(b"# A title\n", b"\n", b"Some words.\n")
    here = ("replay", str(log), "--site", "site_a", "--url", "http://127.0.0.1:1", "--key", "ph_live_x")
    code, out, err = await pulsehouse(*here, "--json")
    assert code == 1
    assert {**json.loads(out), "seconds": 0.0} == tally(lines=3, malformed=3)
    assert err == (
        f"Error: {log} is no log in the combined format of Apache and nginx: not one of its 3 lines is a request"
    )
    log_of(b"# A title\n", line("/a.css"))
    code, _, err = await pulsehouse(*here)
    assert (code, err) == (0, "")


@pytest.mark.any_engine
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_the_command_with_its_numbers(api: Api, number: int, code: int) -> None:
    async def is_stored() -> bool:
        return bool((await api.realtime())["pageviewsLast5Min"])

    async with listening(unlimited(api)) as url:
        ended, out, _ = await pulsehouse(
            *("replay", "-", "--site", "site_a", "--url", url, "--key", api.write, "--json"),
            stdin=line("/") + line("/later", second=3000),
            interrupt=number,
            after=lambda: until(is_stored),
        )
    assert ended == code
    assert {**json.loads(out), "seconds": 0.0} == tally(lines=2, sent=1, stored=1, unsent=1)


@pytest.mark.any_engine
async def test_what_can_go_wrong_is_one_line_with_the_way_out(api: Api, log_of: LogOf) -> None:
    log = str(log_of(line()))
    async with listening(unlimited(api)) as url:

        async def refusal(*arguments: str) -> tuple[int, str]:
            code, out, err = await pulsehouse("replay", *arguments)
            assert out == ""
            assert "Traceback" not in err
            return code, err

        site, key = ("--site", "site_a"), ("--key", api.write)
        code, err = await refusal(log, *site, "--url", url, "--key", "ph_live_no")
        assert code == 1
        assert "Invalid or expired token (401); create a key with: pulsehouse key create --scope write" in err
        code, err = await refusal(log, *site, "--url", url, "--key", api.read)
        assert code == 1
        assert "the key needs scope write" in err
        code, err = await refusal(log, "--site", "site_none", "--url", url, *key)
        assert code == 1
        assert "Invalid site ID (404); check --site site_none" in err
        code, err = await refusal(log, *site, "--url", url + "/elsewhere", *key)
        assert code == 1
        assert "(404)" in err
    code, err = await refusal(log, *site, "--url", url, *key)
    assert code == 1
    assert "no connection to" in err
    assert "is the service running there?" in err


@pytest.mark.parametrize(
    "wrong",
    [
        ("nowhere.log",),
        (__file__, "--url", "localhost:8000"),
        (__file__, "--max", "--speed", "2"),
        (__file__, "--speed", "0"),
        (__file__, "--site", " "),
        (__file__, "--key", "ä"),
    ],
)
def test_wrong_usage_is_exit_code_2(wrong: tuple[str, ...]) -> None:
    right = ("--site", "site_a", "--url", "http://127.0.0.1:1", "--key", "ph_live_x")
    result = CliRunner().invoke(replay, [*right, *wrong])
    assert (result.exit_code, result.stdout) == (2, "")


# Through a service that fails in a known way

Answer = Callable[[list[dict[str, Any]]], httpx.Response]


def service(answer: Answer) -> tuple[httpx.AsyncClient, list[list[dict[str, Any]]]]:
    """A client of a service that answers as told, and the batches that reached it."""
    batches: list[list[dict[str, Any]]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        batches.append(json.loads(request.content)["events"])
        return answer(batches[-1])

    return httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://pulsehouse.test"), batches


def stored(events: list[dict[str, Any]]) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "count": len(events)})


def busy(_events: list[dict[str, Any]]) -> httpx.Response:
    return httpx.Response(503, json={"error": "Temporarily unavailable"}, headers={"Retry-After": "0"})


async def test_a_busy_service_is_asked_again(log_of: LogOf) -> None:
    client, batches = service(lambda events: busy(events) if len(batches) < 3 else stored(events))
    counts, _ = await run_replay(client, log_of(line()))
    assert counts == tally(lines=1, sent=1, stored=1)
    assert len(batches) == 3


async def test_an_unconfirmed_commit_is_not_sent_again(log_of: LogOf) -> None:
    unclear = httpx.Response(
        503, json={"error": "any words"}, headers={"Retry-After": "0", "Pulsehouse-Stored": "unknown"}
    )
    client, batches = service(lambda _events: unclear)
    counts, _ = await run_replay(client, log_of(line()))
    assert counts == tally(lines=1, sent=1, failed=1, firstError="any words (503)")
    assert len(batches) == 1


async def test_a_service_that_stays_busy_is_a_failure(log_of: LogOf) -> None:
    client, batches = service(busy)
    counts, _ = await run_replay(client, log_of(line()))
    assert counts == tally(lines=1, sent=1, failed=1, firstError="Temporarily unavailable (503)")
    assert len(batches) == 1 + RETRIES_MAX


async def test_what_may_be_stored_already_is_not_sent_again(log_of: LogOf) -> None:
    def lose(_events: list[dict[str, Any]]) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    client, batches = service(lose)
    counts, _ = await run_replay(client, log_of(line()))
    assert counts == tally(lines=1, sent=1, failed=1, firstError="no answer (ReadTimeout); may or may not be stored")
    assert len(batches) == 1


async def test_with_a_key_what_may_be_stored_already_is_sent_again_and_stored_once(api: Api, log_of: LogOf) -> None:
    real, answers = api.store.engine.execute, 0

    async def forgetful(statement: Statement, *arguments: Any, **options: Any) -> None:
        nonlocal answers
        await real(statement, *arguments, **options)
        if statement.name == "track/insert_signals" and (answers := answers + 1) <= 2:
            raise EngineError(None)

    async def lose(request: httpx.Request) -> None:
        keys.append(request.headers.get("idempotency-key"))
        if len(keys) in (2, 3):
            raise httpx.ReadTimeout("no answer")

    keys: list[str | None] = []
    api.store.engine.execute = forgetful  # type: ignore[method-assign]
    api.client.event_hooks["request"] = [lose]
    log = log_of(*(line(f"/{number}") for number in range(BATCH_MAX_SIGNALS + 1)))
    counts, problem = await run_replay(api.client, log, token=api.write, idempotent=True)
    assert problem is None
    assert counts == tally(lines=501, sent=501, stored=501)
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert await api.select("SELECT count(), uniqExact(page) FROM signals") == "501\t501"


async def test_another_service_at_the_address_is_told_apart(log_of: LogOf) -> None:
    client, batches = service(lambda _events: httpx.Response(200, text="<html>"))
    _, problem = await run_replay(client, log_of(line()))
    assert problem == "the answer is not that of Pulsehouse; is --url right?"
    assert len(batches) == 1


@pytest.mark.parametrize("status", [400, 413])
async def test_a_refused_batch_is_halved_down_to_the_refused_signals(log_of: LogOf, status: int) -> None:
    def refuse(events: list[dict[str, Any]]) -> httpx.Response:
        if any(event["path"] == "/bad" for event in events):
            return httpx.Response(status, json={"error": "events[0].path: no"})
        return stored(events)

    client, batches = service(refuse)
    counts, _ = await run_replay(client, log_of(*(line("/bad" if n in (7, 301) else f"/{n}") for n in range(500))))
    assert counts == tally(lines=500, sent=500, stored=498, failed=2, firstError=f"events[0].path: no ({status})")
    assert len(batches) < 50


async def test_batches_are_bounded_and_lines_keep_their_order(log_of: LogOf) -> None:
    client, batches = service(stored)
    counts, _ = await run_replay(client, log_of(*(line(f"/{n}") for n in range(1234))))
    assert counts == tally(lines=1234, sent=1234, stored=1234)
    assert max(map(len, batches)) <= BATCH_MAX_SIGNALS
    assert [event["path"] for batch in batches for event in batch] == [f"/{n}" for n in range(1234)]
    assert batches[0][0] == {
        "type": "pageview",
        "path": "/0",
        "referrer": "",
        "ip": "203.0.113.9",
        "userAgent": BROWSER,
    }


async def test_batches_are_bounded_in_bytes_and_a_larger_signal_travels_alone(log_of: LogOf) -> None:
    batches = []

    def handle(request: httpx.Request) -> httpx.Response:
        events = json.loads(request.content)["events"]
        batches.append((len(request.content), [event["path"][:2] for event in events]))
        return stored(events)

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://pulsehouse.test")
    lines = [line("/a" + "a" * 60_000) for _ in range(19)]
    lines.insert(7, line("/\x01" + "\x01" * 60_000))  # six characters each in JSON
    counts, _ = await run_replay(client, log_of(*lines))
    assert counts == tally(lines=20, sent=20, stored=20)
    large = [(size_bytes, paths) for size_bytes, paths in batches if size_bytes > 1.01 * BATCH_MAX_BYTES]
    assert [paths for _, paths in large] == [["/\x01"]]


async def test_an_error_of_whatever_answers_cannot_steer_the_terminal(log_of: LogOf) -> None:
    refuse = httpx.Response(418, json={"error": "\x1b]0;evil\x07 \u202etxt"})
    client, _ = service(lambda _events: refuse)
    counts, _ = await run_replay(client, log_of(line()))
    assert counts["firstError"] == "\ufffd]0;evil\ufffd \ufffdtxt (418)"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("0", 0), ("7", 7), ("86400", 60), ("9" * 5000, None), ("-1", None), ("nan", None), ("", None), ("²", None)],
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds_within_bounds(header: str, seconds: float | None) -> None:
    response = httpx.Response(503, json={"error": "Busy"}, headers=[(b"Retry-After", header.encode())])
    with pytest.raises(NoAnswer) as raised:
        read_answer(response, dict)
    assert (str(raised.value), raised.value.retry_after_s) == ("Busy (503)", seconds)


def test_a_line_with_an_odd_date_and_a_night_hold_nothing_up() -> None:
    pace, began = Pace(speed=2), datetime(2015, 5, 17, 23, 0, tzinfo=UTC)
    first_s = pace.due_s(began)

    def due_s(**later: float) -> float:
        return pace.due_s(began + timedelta(**later)) - first_s

    assert due_s(seconds=20) == 10
    assert due_s(seconds=10) == 10, "times go back and forth a little"
    assert due_s(seconds=40) == 20
    assert pace.due_s(datetime.max.replace(tzinfo=timezone(-timedelta(hours=23)))) - first_s == 20
    assert due_s(seconds=40) == 20
    assert due_s(seconds=60) == 30
    assert pace.due_s(datetime.min.replace(tzinfo=timezone(timedelta(hours=23)))) - first_s == 30
    assert due_s(hours=8) == 30
    assert due_s(hours=8, seconds=20) == 40
    assert due_s(seconds=0) == 40, "an older log follows"
    assert due_s(seconds=20) == 50


async def test_a_line_dated_9999_does_not_stall_a_replay(log_of: LogOf) -> None:
    client, _ = service(stored)
    odd = "31/Dec/9999:23:59:59 -0100"
    for lines in ([line(), line(when=odd), line()], [line(when=odd), line(), line()]):
        async with asyncio.timeout(GIVE_UP_S):
            counts, _ = await run_replay(client, log_of(*lines), speed=1)
        assert counts == tally(lines=3, sent=3, stored=3)


async def test_signals_are_sent_when_they_are_due_and_never_backwards(log_of: LogOf) -> None:
    began_s, arrived_s = time.monotonic(), {}

    def note(events: list[dict[str, Any]]) -> httpx.Response:
        arrived_s.update({event["path"]: time.monotonic() - began_s for event in events})
        return stored(events)

    client, _ = service(note)
    log = log_of(line("/0", second=10), line("/20", second=30), line("/back", second=5), line("/40", second=50))
    await run_replay(client, log, speed=40)
    assert list(arrived_s) == ["/0", "/20", "/back", "/40"]
    assert arrived_s["/20"] >= 0.5
    assert arrived_s["/40"] >= 1.0


async def test_stopping_counts_what_was_read_but_not_sent(log_of: LogOf) -> None:
    stop = asyncio.Event()

    def store_and_stop(events: list[dict[str, Any]]) -> httpx.Response:
        stop.set()
        return stored(events)

    client, _ = service(store_and_stop)
    async with asyncio.timeout(GIVE_UP_S):
        counts, problem = await run_replay(client, log_of(line(), line(second=3000)), speed=1, stop=stop)
    assert problem is None
    assert counts == tally(lines=2, sent=1, stored=1, unsent=1)


# The log itself


async def test_a_damaged_gzip_file_is_read_as_far_as_it_goes_and_reported(tmp_path: Path) -> None:
    client, _ = service(stored)
    noise = random.Random(1)
    data = gzip.compress(b"".join(line(f"/{noise.getrandbits(64)}") for _ in range(5000)))
    (tmp_path / "cut.gz").write_bytes(data[: len(data) // 2])
    counts, problem = await run_replay(client, tmp_path / "cut.gz")
    assert problem == "the gzip data ends too early"
    assert 1000 < counts["stored"] < 4000
    (tmp_path / "bad.gz").write_bytes(data[:20_000] + b"\0" * 20_000)
    _, problem = await run_replay(client, tmp_path / "bad.gz")
    assert problem is not None


async def test_lines_are_found_whatever_the_pieces(tmp_path: Path) -> None:
    lines = [line("/" + "a" * n) for n in (1, 20_000, 40_000)] + [
        b"x" * (3 * LINE_MAX_BYTES) + b"\n",
        line("/last")[:-1],
    ]
    (tmp_path / "a.log").write_bytes(b"".join(lines))
    (tmp_path / "b.gz").write_bytes(b"".join(map(gzip.compress, lines)) + b"\0" * 512)
    for name in ("a.log", "b.gz"):
        with (tmp_path / name).open("rb") as file:
            found = [read_line(one) async for piece in Source(file.fileno()).pieces() for one in piece]
        assert [one if isinstance(one, str) else len(one.path) for one in found] == [2, 20_001, 40_001, "malformed", 5]


async def test_gzip_that_becomes_a_thousand_times_as_much_is_read_in_small_pieces(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n" * 20_000_000)
    assert len(packed) < 25_000
    (tmp_path / "bomb.gz").write_bytes(packed + gzip.compress(b"x" * 20_000_000))
    with (tmp_path / "bomb.gz").open("rb") as file:
        sizes = [len(lines) async for lines in Source(file.fileno()).pieces()]
    assert sum(sizes) == 20_000_001
    assert max(sizes) <= PIECE_MAX_BYTES


def test_what_reads_sends_and_asks_needs_no_terminal() -> None:
    """They are for any program; what draws and what is a command stands apart."""
    modules = {path.stem: path for path in (Path(__file__).parents[1] / "app" / "client").glob("*.py")}
    drawing = ("drawing", "screen", "sites_screen", "views")  # what `watch` draws
    for name in drawing:
        del modules[name]
    terminal = re.compile(rf"(rich_)?click|rich|app\.(cli|client\.({'|'.join(drawing)}))\b")
    assert {"access_log", "ask", "log_replay", "plain_text", "sender", "simulation", "watched"} < modules.keys()
    for path in modules.values():
        imported = re.findall(r"^ *(?:from|import) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not [name for name in imported if terminal.match(name)]


async def test_an_empty_log_is_a_log(log_of: LogOf) -> None:
    client, batches = service(stored)
    assert await run_replay(client, log_of()) == (tally(), None)
    assert batches == []
