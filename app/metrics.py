"""What is counted about the service itself; GET /metrics shows it."""

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

signals_committed = Counter("pulsehouse_signals_committed", "Signals committed to ClickHouse")
signals_refused_as_bot = Counter("pulsehouse_signals_refused_as_bot", "Signals of bots and crawlers, not stored")
signals_queued = Gauge(
    "pulsehouse_signals_queued", "Signals waiting for an INSERT or in the running one", multiprocess_mode="livesum"
)
inserts = Counter("pulsehouse_inserts", "INSERTs sent, repeated ones included", ["outcome"])
insert_seconds = Histogram("pulsehouse_insert_seconds", "Duration of an INSERT", buckets=SECONDS)
streams = Gauge("pulsehouse_streams_open", "Event streams that are open", multiprocess_mode="livesum")
overviews = Counter("pulsehouse_overview_statements", "Overview statements run", ["outcome"])
polls_answered = Counter("pulsehouse_polls_answered", "Realtime answers given")
statements = Counter("pulsehouse_realtime_statements", "Realtime statements run", ["outcome"])
statement_seconds = Histogram(
    "pulsehouse_realtime_statement_seconds", "Duration of a realtime statement", buckets=SECONDS
)
statement_sites = Histogram(
    "pulsehouse_realtime_statement_sites",
    "Sites asked for in a realtime statement",
    buckets=(1, 2, 5, 10, 50, 100, 500, 1000),
)

Gauge("pulsehouse_build_info", "1, labelled with the version", ["version"], multiprocess_mode="max").labels(
    version("pulsehouse")
).set(1)
