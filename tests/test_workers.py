"""Several real processes on one database: what one has acknowledged all know, and a visitor is one on all of them."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.store.salts import KEPT_AFTER
from tests.kit.databases import connection
from tests.kit.model import Sent, answer, contradictions
from tests.kit.service import ANSWER_WITHIN_S, ClockedService, Service, key, make, site
from tests.kit.user_agents import BROWSER
from tests.kit.waiting import wait_until

# A pageBreakdown names 100 pages, and each signal of the first test has a page of its own.
SIGNALS_MAX = 90
TASKS = 10


class Ground:
    """A database of the server with a site and a key, and no salt yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = str(make(site(), key(), clickhouse_url=url)[-1]["token"])

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connection(self.url) as client:
            return [tuple(row) for row in client.query(sql).result_rows]


@pytest.fixture
def ground(server_database: str) -> Ground:
    return Ground(server_database)


@pytest.mark.parametrize("signals", [30, pytest.param(SIGNALS_MAX, marks=pytest.mark.deep)])
async def test_every_signal_acknowledged_before_a_poll_was_sent_is_in_its_answer_on_either_worker(
    ground: Ground, signals: int
) -> None:
    chance = random.Random(7)
    pages = iter([f"/{number}" for number in range(signals)])
    sent: set[str] = set()
    acknowledged: set[str] = set()
    polls = 0

    async def act(client: httpx.AsyncClient) -> None:
        nonlocal polls
        for page in pages:
            sent.add(page)
            response = await client.post(
                "/api/track", json={"siteId": "site_a", "path": page}, headers={"User-Agent": BROWSER + page}
            )
            assert response.status_code == 200
            acknowledged.add(page)
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(chance.choice([0, 0, 0.02]))
                known = set(acknowledged)
                response = await client.get(
                    "/api/realtime?siteId=site_a", headers={"Authorization": f"Bearer {ground.token}"}
                )
                got = response.json()
                assert contradictions(got) == []
                assert known <= got["pageBreakdown"].keys() <= sent
                assert got["activeVisitors"] == len(got["pageBreakdown"])
                # What is not acknowledged yet may be in one table before the other (docs/reliability.md).
                assert len(known) <= got["pageviewsLast5Min"] <= len(sent)
                polls += 1

    with Service("--workers", "2", clickhouse_url=ground.url) as service:
        # Each request on a connection of its own, so on either worker.
        fresh = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=service.url, limits=fresh, timeout=ANSWER_WITHIN_S) as client:
            await asyncio.gather(*(act(client) for _ in range(TASKS)))
        assert acknowledged == sent
        assert polls > signals / 2


@pytest.mark.parametrize("days", [3, pytest.param(15, marks=pytest.mark.deep)])
async def test_processes_that_start_without_a_salt_and_come_to_a_new_day_together_agree_on_it(
    ground: Ground, tmp_path: Path, days: int
) -> None:
    clock = tmp_path / "clock"
    now = datetime.now(UTC).replace(hour=12)
    clock.write_text(now.isoformat(), encoding="utf-8")
    # Nothing is refreshed, so that the signals themselves need a salt that is not there yet.
    settings = {"directory_refresh_ms": "600000", "directory_max_age_ms": "600000", "clickhouse_url": ground.url}
    both = [ClockedService(str(clock), **settings) for _ in range(2)]
    with both[0], both[1]:
        for _ in range(days):
            answers = await asyncio.gather(*(asyncio.to_thread(service.track) for service in both))
            assert [answer.status_code for answer in answers] == [200, 200]
            for service in both:
                got = service.poll(ground.token).json()
                assert (got["activeVisitors"], got["pageviewsLast5Min"]) == (1, 2)
            now += timedelta(days=1)
            clock.write_text(now.isoformat(), encoding="utf-8")
    assert ground.ask("SELECT day, count() FROM salts GROUP BY day HAVING count() > 1") == []


class Day:
    """Two processes with one clock, the traffic spread over them, and the answer that each must give."""

    def __init__(self, ground: Ground, file: Path) -> None:
        self._ground = ground
        self._file = file
        self._sent: list[Sent] = []
        self._next = file.with_suffix(".next")
        self.now = datetime.now(UTC)
        # A day that is over by the clock of ClickHouse too, which has a say in deleting its salt.
        self.yesterday = (self.now - KEPT_AFTER).date() - timedelta(days=1)
        self.set("23:30:00")
        # Keys and sites are refreshed often, as the salts are with them.
        self.workers = [
            ClockedService(str(file), clickhouse_url=ground.url, directory_refresh_ms="100") for _ in range(2)
        ]
        self._turn = cycle(self.workers)

    def set(self, time_of_day: str) -> None:
        """Move the clock of both: to yesterday's evening, or to the day after it."""
        day = self.yesterday + timedelta(days=time_of_day < "12")
        self.now = datetime.fromisoformat(f"{day}T{time_of_day}+00:00")
        self._write()

    def _write(self) -> None:
        self._next.write_text(self.now.isoformat(), encoding="utf-8")
        self._next.replace(self._file)

    def see(self, *visitors: str) -> None:
        """Let each visitor look at a page on each of the workers in turn, a second apart."""
        for visitor in visitors:
            for worker in self.workers:
                self.now += timedelta(seconds=1)
                self._write()
                page = f"/{visitor}/{self.now:%H.%M.%S}"
                assert worker.track(path=page, user_agent=f"{BROWSER} {visitor}").status_code == 200
                self._sent.append(Sent("site_a", self.now, "pageview", visitor, page, None))

    def hold(self) -> None:
        """Compare the whole answer of each worker with the model's, in which a visitor is one by their name."""
        for worker in self.workers:
            assert worker.poll(self._ground.token).json() == answer(self._sent, "site_a", self.now)

    def salts(self) -> list[str]:
        return [str(day) for (day,) in self._ground.ask("SELECT day FROM salts ORDER BY day")]

    def wait_until_deleted(self, day: str) -> None:
        """Wait until one of the workers has deleted the salt of a day."""
        wait_until(lambda: day not in self.salts())


@pytest.mark.deep
def test_a_returning_visitor_counts_once_over_midnight_whichever_worker_took_the_signals(
    ground: Ground, tmp_path: Path
) -> None:
    day = Day(ground, tmp_path / "clock")
    with day.workers[0], day.workers[1]:
        day.hold()
        for moment, visitors in [
            ("23:58:20", ["ann", "bob"]),
            ("23:59:30", ["ann"]),
            ("23:59:57", ["ann", "eve"]),  # over midnight, a second for each signal
            ("00:00:30", ["ann", "kim"]),
            ("00:03:40", ["eve"]),
            ("00:03:57", ["ann", "bob"]),
            ("00:04:50", ["kim", "ann"]),
            ("00:05:00", ["ann", "bob"]),
            ("00:08:00", ["ann", "eve"]),
            ("00:04:10", ["ann", "kim"]),  # the clock steps back within the new day
            ("23:59:20", ["ann", "bob"]),  # and over midnight, while the old salt is still there
            ("00:09:00", ["ann"]),
        ]:
            day.set(moment)
            day.hold()
            day.see(*visitors)
            day.hold()
        old = str(day.yesterday)
        assert old in day.salts()
        day.set("00:25:00")
        day.wait_until_deleted(old)
        day.see("ann", "eve")
        day.hold()
        assert old not in day.salts()
        # Back over midnight after the old salt is gone: a new one serves, the same on both workers.
        day.set("23:50:00")
        day.see("ann", "kim")
        day.hold()
        assert day.salts().count(old) == 1
