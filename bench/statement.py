"""P7: one statement's time against sites asked, visitors, history and pageviews.

Beside it runs the usual shape ("peers"): one statement per field over the raw signals, bench/sql/peer_*.sql.
Alternatives are timed in turns within one run, so the load of the machine falls on all of them alike; read
the ratios, not the milliseconds. Every data set lives in its own database bench_*, dropped at the end.
"""

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from app.store.reads import MOST_SITES, parameters_of
from bench.harness import HISTORY, REALTIME, SQL, WINDOW_S, Database, traffic

if TYPE_CHECKING:
    from bench.__main__ import Report

PEERS = [text for name, text in SQL.items() if name.startswith("peer_")]
HISTORY_DAYS = {"1 hour": 1 / 24, "1 day": 1, "7 days": 7, "30 days": 30}
RATIO_LIMIT = 1.5  # how much slower history, pageviews or other sites may make the statement


@dataclass(frozen=True)
class Measurement:
    """One statement shape on one data set."""

    experiment: str
    case: str
    shape: str  # "realtime" or "peers"
    median_ms: float
    p95_ms: float
    runs: int


@dataclass(frozen=True)
class Ratio:
    """How much slower `case` is than `baseline`: the median over rounds timed back to back."""

    experiment: str
    case: str
    baseline: str
    ratio: float
    lowest: float
    highest: float
    limit: float


@dataclass(frozen=True)
class Probe:
    """A thing to time: statements sent one after the other with the same parameters."""

    case: str
    shape: str
    client: Client
    statements: list[str]
    parameters: dict[str, object]

    def run(self) -> float:
        """Milliseconds until the last answer has arrived."""
        start = time.perf_counter()
        for statement in self.statements:
            self.client.raw_query(statement, parameters=self.parameters)
        return (time.perf_counter() - start) * 1000


class DataSet(Database):
    """A database that is asked about one instant."""

    def __init__(self, server_url: str, now: datetime) -> None:
        super().__init__(server_url)
        self.now = now

    def fill(
        self,
        *,
        rate: float,
        sites: int,
        visitors: int,
        block: int,
        seconds: float = WINDOW_S,
        skew: bool = False,
        until_s: float = 0,
    ) -> None:
        """Traffic that ends `until_s` before the instant, `block` rows to a part."""
        until = self.now - timedelta(seconds=until_s)
        self.load(
            traffic(until=until, rate=rate, seconds=seconds, sites=sites, visitors=visitors, skew=skew), block=block
        )

    def realtime(self, case: str, sites: int) -> Probe:
        parameters = dict(parameters_of(self._sites(sites), self.now))
        return Probe(case, "realtime", self.client, [REALTIME], parameters)

    def peers(self, case: str, sites: int) -> Probe:
        return Probe(case, "peers", self.client, PEERS, {"sites": self._sites(sites), "now": self.now})

    def history(self, case: str, minutes: int) -> Probe:
        """The history of site_1."""
        first = self.now.replace(second=0) - timedelta(minutes=minutes - 1)
        return Probe(case, "history", self.client, [HISTORY], {"site": "site_1", "first": first, "now": self.now})

    @staticmethod
    def _sites(sites: int) -> list[str]:
        return [f"site_{number}" for number in range(1, sites + 1)]


class Bench:
    """Runs the experiments, prints each as a table and keeps the results."""

    def __init__(self, url: str, *, quick: bool, console: Console) -> None:
        self.url = url
        self.quick = quick
        self.console = console
        self.measurements: list[Measurement] = []
        self.ratios: list[Ratio] = []

    @contextlib.contextmanager
    def data(self, count: int = 1) -> Iterator[list[DataSet]]:
        """`count` empty data sets of one common instant, dropped afterwards."""
        now = datetime.now(UTC).replace(microsecond=0)
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(DataSet(self.url, now)) for _ in range(count)]

    def measure(
        self, experiment: str, probes: list[Probe], *, budget_seconds: float | None = None
    ) -> list[list[float]]:
        """Time the probes in turns, at least 3 and at most 41 rounds, within the budget."""
        budget = budget_seconds or (0.8 if self.quick else 6)
        for probe in probes:  # caches and connections
            probe.run()
        times: list[list[float]] = [[] for _ in probes]
        end = time.perf_counter() + budget
        for round_ in itertools.count():
            if round_ >= 41 or (round_ >= 3 and time.perf_counter() > end):
                break
            for probe, taken in zip(probes, times, strict=True):
                taken.append(probe.run())
        found = [
            Measurement(
                experiment,
                probe.case,
                probe.shape,
                round(statistics.median(taken), 2),
                round(sorted(taken)[int(len(taken) * 0.95)], 2),
                len(taken),
            )
            for probe, taken in zip(probes, times, strict=True)
        ]
        self.measurements += found
        self._show(experiment, found)
        return times

    def compare(self, experiment: str, *probes: Probe) -> None:
        """Time probes in turns and record the ratio of the last to the first."""
        fast, *_, slow = self.measure(experiment, list(probes))
        baseline, *_, case = probes
        quarter, ratio, three = (
            round(q, 3) for q in statistics.quantiles(b / a for a, b in zip(fast, slow, strict=True))
        )
        self.ratios.append(Ratio(experiment, case.case, baseline.case, ratio, quarter, three, RATIO_LIMIT))

    def _show(self, experiment: str, found: list[Measurement]) -> None:
        table = Table(title=experiment, title_justify="left")
        for name in ("case", "shape"):
            table.add_column(name)
        for name in ("median ms", "p95 ms", "runs"):
            table.add_column(name, justify="right")
        for row in found:
            table.add_row(row.case, row.shape, f"{row.median_ms:.1f}", f"{row.p95_ms:.1f}", str(row.runs))
        self.console.print(table)

    # The experiments

    def sites_asked(self) -> None:
        """1,000 signals/s over 10,000 sites, log-uniform; 1 site asked for, up to as many as a statement holds."""
        with self.data() as [data]:
            data.fill(rate=1000, sites=10_000, visitors=10_000, block=1000, skew=True)
            self.measure(
                "sites asked for at once",
                [data.realtime(f"{n:,} sites", n) for n in (1, 10, 100, 1000, MOST_SITES)]
                + [data.peers(f"{n:,} sites", n) for n in (1, 100, 1000)],
                budget_seconds=2 if self.quick else 20,
            )

    def active_visitors(self) -> None:
        """One site, 10^3 to 10^6 visitors drawn 1.5 times each in the window."""
        for visitors in (1_000, 100_000) if self.quick else (1_000, 10_000, 100_000, 1_000_000):
            with self.data() as [data]:
                signals = visitors * 1.5
                data.fill(
                    rate=signals / 300,
                    seconds=300,
                    sites=1,
                    visitors=visitors,
                    block=min(max(100, int(signals / 300)), 2000),  # one INSERT a second, at most 2,000 rows
                )
                case = f"{visitors:,} visitors"
                self.measure("active visitors of one site", [data.realtime(case, 1), data.peers(case, 1)])

    def history(self) -> None:
        """100 sites with 4 signals/s in all: one hour of it in the table, up to 30 days."""
        days = {"1 hour": 1 / 24, "2 days": 2} if self.quick else HISTORY_DAYS
        with self.data(len(days)) as sets:
            for data, length in zip(sets, days.values(), strict=True):
                data.fill(rate=4, seconds=length * 86_400, sites=100, visitors=50, block=100_000, until_s=WINDOW_S)
                data.fill(rate=4, sites=100, visitors=50, block=100)
            for asked in (1, 100):
                probes = [data.realtime(case, asked) for data, case in zip(sets, days, strict=True)]
                self.compare(f"history, {asked} sites asked", *probes)

    def history_of_a_day(self) -> None:
        """One site with 100,000 visitors a day (quick: 10,000), each seen in four minutes: its history."""
        visitors = 10_000 if self.quick else 100_000
        with self.data() as [data]:
            data.fill(rate=visitors * 4 / 86_400, seconds=86_400, sites=1, visitors=visitors, block=5_000)
            self.measure("history of a site", [data.history(f"{n:,} minutes", n) for n in (30, 1440)])

    def pageviews_per_visitor(self) -> None:
        """100 sites, 50 visitors each: 1 and 20 signals of a visitor and minute."""
        with self.data(2) as [once, often]:
            for data, times in ((once, 1), (often, 20)):
                rate = 100 * 50 / 60 * times
                data.fill(rate=rate, sites=100, visitors=50, block=min(max(100, int(rate)), 10_000))
            for asked in (1, 100):
                self.compare(
                    f"pageviews of a visitor, {asked} sites asked",
                    once.realtime("1x", asked),
                    often.realtime("20x", asked),
                )

    def sites_in_table(self) -> None:
        """0.2 signals/s on every site; 100 sites in the table, and 10,000 (quick: 2,000)."""
        with self.data(2) as [few, many]:
            counts = (100, 2_000 if self.quick else 10_000)
            for data, sites in zip((few, many), counts, strict=True):
                rate = sites * 0.2
                data.fill(rate=rate, sites=sites, visitors=50, block=max(100, int(rate)))
            for asked in (1, 100):
                self.compare(
                    f"sites in the table, {asked} asked",
                    few.realtime(f"{counts[0]:,} sites", asked),
                    many.realtime(f"{counts[1]:,} sites", asked),
                )


def measure(url: str, report: "Report", *, quick: bool) -> None:
    bench = Bench(url, quick=quick, console=report.console)
    for experiment in (
        bench.history,
        bench.history_of_a_day,
        bench.pageviews_per_visitor,
        bench.sites_in_table,
        bench.sites_asked,
        bench.active_visitors,
    ):
        experiment()
    for ratio in bench.ratios:
        what = f"{ratio.experiment}: {ratio.case} / {ratio.baseline}"
        report.at_most("P7", what, [ratio.lowest, ratio.ratio, ratio.highest], ratio.limit)
    for row in bench.measurements:
        if (row.experiment, row.case) == ("history of a site", "1,440 minutes"):
            report.at_most("P7", "history of 1,440 minutes, ms", [row.median_ms], 300)
    report.curve("statement", [asdict(row) for row in bench.measurements])
