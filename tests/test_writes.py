"""What counts as a commit: ClickHouse's own answer to an INSERT, and nothing else that comes back in its place."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.settings import Settings
from app.store.engine import EngineError
from app.store.server import ServerEngine
from app.store.statements import Statement
from app.wiring import create_app, create_store
from tests.conftest import Api, Clock
from tests.kit.databases import drop, url_of
from tests.kit.proxy import ODD_ANSWERS, OWN, Answer, Proxy, proxy

odd_answers = pytest.mark.parametrize("odd", ODD_ANSWERS.values(), ids=ODD_ANSWERS.keys())
CHANGE = Statement("test", "ANYTHING")


def engine_at(url: str) -> ServerEngine:
    return ServerEngine(url, query_timeout_s=5, insert_timeout_s=5)


@odd_answers
async def test_an_answer_that_is_not_clickhouses_is_no_success(odd: Answer) -> None:
    with proxy() as between:
        between.odd = [odd]
        engine = engine_at(between.url("x"))
        with pytest.raises(EngineError) as raised:
            await engine.execute(CHANGE, {}, b"{}\n")
        await engine.close()
        assert raised.value.written is None
        assert raised.value.detail
        assert between.asked == ["/"]


async def test_clickhouses_own_answer_is_one() -> None:
    with proxy() as between:
        between.odd = [Answer(200, OWN)]
        engine = engine_at(between.url("x"))
        await engine.execute(CHANGE, {}, b"{}\n")
        await engine.execute(CHANGE)
        await engine.close()


async def test_without_a_connection_certainly_nothing_was_written(unused_port: int) -> None:
    for url in (f"http://127.0.0.1:{unused_port}/x", f"https://127.0.0.1:{unused_port}/x", "http://nowhere.invalid/x"):
        engine = engine_at(url)
        with pytest.raises(EngineError) as raised:
            await engine.execute(CHANGE, {}, b"{}\n")
        await engine.close()
        assert (raised.value.code, raised.value.written, raised.value.timed_out) == (None, False, False)


@pytest.fixture
def between(server_url: str, database: str) -> Iterator[Proxy]:
    """A proxy before the ClickHouse server."""
    with proxy(server_url) as running:
        yield running
    drop(url_of(server_url, database))


@pytest.fixture
async def behind(between: Proxy, database: str) -> AsyncIterator[Api]:
    """A service that reaches its ClickHouse through the proxy, with site_a."""
    settings = Settings(
        clickhouse_url=between.url(database), insert_timeout_ms=500, commit_interval_ms=0, commit_timeout_ms=30_000
    )
    store = create_store(settings, clock=Clock())
    await store.start()
    transport = httpx.ASGITransport(create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://pulsehouse.test") as client:
        api = Api(store, client, Clock())
        await api.add_site("site_a")
        yield api
    await store.close(5)


async def stored(api: Api) -> tuple[str, str, str]:
    return (
        await api.select("SELECT count() FROM signals"),
        await api.select("SELECT sum(pageviews) FROM visitor_minutes"),
        await api.select("SELECT sum(length(finalizeAggregation(newest_state))) FROM recent_pageviews"),
    )


async def test_what_odd_proxies_answer_is_never_acknowledged_and_all_is_stored_once(
    behind: Api, between: Proxy
) -> None:
    odd = ("a page", "nothing", "not deflated", "a summary that is no object")
    between.odd = [ODD_ANSWERS[name] for name in odd]
    assert (await behind.track({"siteId": "site_a"})).status_code == 200
    assert len(between.inserts) > len(odd)  # more where one takes longer than this service gives it
    assert len({token for token, _ in between.inserts}) == 1
    assert await stored(behind) == ("1", "1", "1")


async def test_an_insert_slower_than_its_time_runs_once_at_a_time_and_is_acknowledged(
    behind: Api, between: Proxy
) -> None:
    # ClickHouse begins with an INSERT when it has seen 256 KiB of it.
    events = [{"path": f"/{number}" + "x" * 2_000} for number in range(200)]
    between.delay_s = 1.2
    answer = await behind.track({"siteId": "site_a", "batch": True, "events": events})
    assert answer.status_code == 200
    assert between.refused_as_running
    assert await stored(behind) == ("200", "200", "10")  # the feed takes ten a minute
