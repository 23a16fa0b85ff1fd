"""Hundreds of open event streams while the service stops and starts, and while ClickHouse is killed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from faults.ground import DATABASE, Ground
from tests.kit.crowd import Crowd
from tests.kit.dashboards import Dashboards
from tests.kit.databases import signals_per_page
from tests.kit.model import contradictions
from tests.kit.service import Service, key, make, site
from tests.kit.waiting import until

CLICKHOUSE = os.environ.get("PULSEHOUSE_TEST_FAULTS_CLICKHOUSE", "")
"""A command that runs a ClickHouse server of its own in the foreground, with {port} and {path}."""


async def stop_and_start_again(streams: int, *arguments: str, **settings: str) -> None:
    """SIGTERM while signals are in flight: all that is acknowledged is stored, and every dashboard comes back."""
    *_, reader = await asyncio.to_thread(make, site(), key(), **settings)
    with Service(*arguments, **settings) as service:
        dashboards = Dashboards(service.port, reader["token"], "site_a", streams)
        dashboards.start()
        await until(lambda: None not in dashboards.active_visitors())
        crowd = Crowd(service, "site_a")
        assert await asyncio.to_thread(crowd.enough.wait, 60)
        code, log = await asyncio.to_thread(service.stop)  # fails when it takes longer than documented
        await asyncio.to_thread(crowd.wait)
    assert (code, "Traceback" in log) == (0, False), log
    await until(lambda: all(dashboard.told_to_return == 1 for dashboard in dashboards.all))
    with Service(*arguments, port=str(service.port), **settings):
        await until(lambda: dashboards.active_visitors() == {len(crowd.acknowledged)})
        assert {(each.opened, each.told_to_return, each.lost) for each in dashboards.all} == {(2, 1, 0)}
        await dashboards.stop()
    assert signals_per_page(settings.get("clickhouse_url") or settings["data_dir"]) == dict.fromkeys(
        crowd.acknowledged, 1
    )


@pytest.mark.parametrize("streams", [pytest.param(500, marks=pytest.mark.deep)])
async def test_a_stop_with_many_streams_and_signals_in_flight_loses_nothing(tmp_path: Path, streams: int) -> None:
    await stop_and_start_again(streams, data_dir=str(tmp_path / "data"))


@pytest.mark.parametrize("streams", [pytest.param(500, marks=pytest.mark.deep)])
async def test_several_workers_do_the_same(server_database: str, streams: int) -> None:
    await stop_and_start_again(streams, "--workers", "2", clickhouse_url=server_database)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.skipif(not CLICKHOUSE, reason="PULSEHOUSE_TEST_FAULTS_CLICKHOUSE names no command that runs a server")
async def test_streams_outlive_a_clickhouse_that_is_killed(tmp_path: Path) -> None:
    ground = Ground(CLICKHOUSE, str(tmp_path), workers=2)
    try:
        await ground.start_clickhouse()
        url = f"http://127.0.0.1:{ground.servers[0].port}/{DATABASE}"
        *_, reader = await asyncio.to_thread(make, site(), key(), clickhouse_url=url)
        with Service("--workers", "2", clickhouse_url=url) as service:
            assert service.track(user_agent="Mozilla/5.0 (ann) Firefox/140.0").status_code == 200
            dashboards = Dashboards(service.port, reader["token"], "site_a", 200)
            dashboards.start()
            await until(lambda: dashboards.active_visitors() == {1})
            ground.signal_clickhouse(signal.SIGKILL)
            await until(lambda: all(dashboard.errors == 1 for dashboard in dashboards.all))
            await ground.start_clickhouse()
            await until(lambda: dashboards.active_visitors() == {1})
            assert service.track(user_agent="Mozilla/5.0 (bob) Firefox/140.0").status_code == 200
            await until(lambda: dashboards.active_visitors() == {2})
            answers = [dashboard.answer for dashboard in dashboards.all if dashboard.answer]
            assert [contradictions(answer) for answer in answers] == [[]] * 200
            # Nobody had to come back, so nobody came back all at once.
            assert {(each.opened, each.told_to_return, each.lost) for each in dashboards.all} == {(1, 0, 0)}
            await dashboards.stop()
    finally:
        ground.end()
