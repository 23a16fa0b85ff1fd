"""What is counted about the service itself; GET /metrics shows it."""

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

build_info = Gauge("pulsehouse_build_info", "1, labelled with the version", ["version"], multiprocess_mode="livemax")
build_info.labels(version("pulsehouse")).set(1)
workers_started = Counter("pulsehouse_workers_started", "Workers that have begun to serve, those that ended included")
requests = Counter("pulsehouse_http_requests", "Requests answered", ["route", "method", "status"])
request_seconds = Histogram(
    "pulsehouse_http_request_seconds", "From a request's head to the begin of its answer", ["route"], buckets=SECONDS
)
directory_refreshed = Gauge(
    "pulsehouse_directory_refreshed_timestamp_seconds",
    "When sites and keys were last known to be fresh, Unix time; of the worker that is worst off",
    multiprocess_mode="livemin",
)
shard_answers = Gauge(
    "pulsehouse_shard_answers",
    "1 where a node of the shard answers, else 0; of the worker that is worst off; on a cluster only",
    ["shard"],
    multiprocess_mode="livemin",
)
signals_committed = Counter("pulsehouse_signals_committed", "Signals committed to ClickHouse")
signals_refused_as_bot = Counter("pulsehouse_signals_refused_as_bot", "Signals of bots and crawlers, not stored")
signals_queued = Gauge(
    "pulsehouse_signals_queued", "Signals waiting for an INSERT or in the running one", multiprocess_mode="livesum"
)
queue_max_signals = Gauge(
    "pulsehouse_queue_max_signals", "Signals that may wait, in the workers that live", multiprocess_mode="livesum"
)
inserts = Counter("pulsehouse_inserts", "INSERTs sent, repeated ones included", ["outcome"])
insert_seconds = Histogram("pulsehouse_insert_seconds", "Duration of an INSERT", buckets=SECONDS)
commit_wait_seconds = Histogram(
    "pulsehouse_commit_wait_seconds", "How long the first signals of an INSERT waited for it to begin", buckets=SECONDS
)
streams = Gauge("pulsehouse_streams_open", "Event streams that are open", multiprocess_mode="livesum")
report_statements = Counter(
    "pulsehouse_report_statements", "Statements of overviews, breakdowns and histories run", ["statement", "outcome"]
)
polls_answered = Counter("pulsehouse_polls_answered", "Realtime answers given")
statements = Counter("pulsehouse_realtime_statements", "Realtime statements run", ["outcome"])
statement_seconds = Histogram(
    "pulsehouse_realtime_statement_seconds", "Duration of a realtime statement", buckets=SECONDS
)
statement_wait_seconds = Histogram(
    "pulsehouse_realtime_statement_wait_seconds",
    "How long the first poll of a realtime statement waited for it to begin",
    buckets=SECONDS,
)
statement_sites = Histogram(
    "pulsehouse_realtime_statement_sites",
    "Sites asked for in a realtime statement",
    buckets=(1, 2, 5, 10, 50, 100, 500, 1000),
)
