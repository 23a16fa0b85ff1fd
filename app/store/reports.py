"""Breakdowns and histories: dearer than a poll, so they have statements of their own and never delay one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from app.domain.clock import Clock
from app.domain.realtime import BreakdownAnswer, Dimension, HistoryAnswer, Point, Share, peak_of, start_of_minute
from app.store.engine import Engine
from app.store.shared import MakingOne, SharedStatements
from app.store.statements import Statement

_decode_breakdown = msgspec.json.Decoder(tuple[int, int, list[tuple[str, int, int]]]).decode
_decode_points = msgspec.json.Decoder(tuple[int, int, int, int]).decode_lines


class Reports:
    """Answers breakdowns and histories, with at most `max_statements` at once."""

    def __init__(
        self,
        engine: Engine,
        statements: Mapping[str, Statement],
        clock: Clock,
        *,
        timeout_s: float,
        max_statements: int,
    ) -> None:
        self._breakdown = statements["breakdown"]
        self._history = statements["history"]
        self._engine = engine
        self._shared = SharedStatements(clock, timeout_s=timeout_s, max_statements=max_statements)

    async def breakdown(self, tenant: str, site_id: str, by: Dimension, filters: Mapping[Dimension, str]) -> bytes:
        """The active visitors of a site by a dimension, those whose values match, as JSON.

        A filter is a value, empty for none, or a beginning and a `*`. Raises Unavailable when not known in time.
        """
        names, patterns = list(filters), list(filters.values())

        def make(now: datetime) -> MakingOne[bytes]:
            def answer(body: bytes) -> bytes:
                visitors, pageviews, shares = _decode_breakdown(body)
                breakdown = [Share(value or None, *numbers) for value, *numbers in shares]
                return msgspec.json.encode(BreakdownAnswer(by, visitors, pageviews, breakdown, now))

            parameters = {"site": site_id, "now": now, "by": by, "names": names, "patterns": patterns}
            return MakingOne(self._engine, self._breakdown, parameters, answer)

        return await self._shared.of(tenant, (site_id, by, *names, *patterns), make)

    async def history(self, tenant: str, site_id: str, minutes: int, days_ago: int = 0) -> bytes:
        """How the live number of a site went in so many minutes, as JSON. Raises Unavailable.

        They end with the minute in progress, or that of the same time some days ago, which is over and whole.
        """

        def make(now: datetime) -> MakingOne[bytes]:
            def answer(body: bytes) -> bytes:
                points = [
                    Point(datetime.fromtimestamp(seconds, UTC), *numbers) for seconds, *numbers in _decode_points(body)
                ]
                if [point.minute for point in points] != [first + timedelta(minutes=n) for n in range(minutes)]:
                    raise ValueError("other minutes than were asked for")
                return msgspec.json.encode(HistoryAnswer(points, peak_of(points), now))

            last = start_of_minute(now) - timedelta(days=days_ago)
            first = last - timedelta(minutes=minutes - 1)
            # Past minutes have nothing that is stamped ahead of them.
            parameters = {"site": site_id, "first": first, "now": last if days_ago else now}
            return MakingOne(self._engine, self._history, parameters, answer)

        return await self._shared.of(tenant, (site_id, minutes, days_ago), make)
