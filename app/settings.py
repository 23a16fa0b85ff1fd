"""Every setting of the service: read once from PULSEHOUSE_* in the entry point, handed on as plain values."""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args, get_origin

import msgspec
from platformdirs import user_data_dir

from app.domain.errors import StartupError

PREFIX = "PULSEHOUSE_"
NOT_OURS = re.compile(r"PULSEHOUSE_(TEST_.*|URL|KEY)")
"""Variables of the tests and of the command line's clients; they are no settings of the service."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=600_000)]


class Settings(msgspec.Struct, frozen=True, rename=lambda name: PREFIX + name.upper()):
    """The settings, their defaults and bounds; docs/operations.md explains each."""

    clickhouse_url: str = ""
    clickhouse_cluster: str = ""
    clickhouse_replicated: bool = False
    insert_quorum_replicas: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    data_dir: str = user_data_dir("pulsehouse", appauthor=False)
    backup_dir: str = ""
    trusted_proxies: str = ""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: Literal["off", "routes", "requests"] = "off"
    directory_refresh_ms: Milliseconds = 1_000
    directory_max_age_ms: Milliseconds = 5_000
    removal_delay_ms: Milliseconds = 60_000
    query_timeout_ms: Milliseconds = 5_000
    query_max_statements: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    query_max_sites: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    query_shared_max_rows: Positive = 50_000
    report_max_statements: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    stream_interval_ms: Annotated[int, msgspec.Meta(ge=10, le=60_000)] = 1_000
    stream_lifetime_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 300_000
    stream_max_sites: Positive = 10_000
    insert_timeout_ms: Milliseconds = 5_000
    insert_timeout_max_ms: Milliseconds = 60_000
    commit_timeout_ms: Milliseconds = 10_000
    commit_interval_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 200
    repeatable_interval_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 50
    commit_max_signals: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    commit_max_bytes: Annotated[int, msgspec.Meta(ge=1_048_576, le=1_073_741_824)] = 8_388_608
    queue_max_signals: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 50_000
    queue_max_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 67_108_864
    shutdown_timeout_ms: Milliseconds = 10_000
    head_max_bytes: Annotated[int, msgspec.Meta(ge=8_192, le=1_048_576)] = 16_384
    body_max_bytes: Positive = 1_048_576
    body_timeout_ms: Milliseconds = 10_000
    bodies_max_bytes: Positive = 67_108_864
    batch_max_signals: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    track_max_signals_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 3_000
    key_max_requests_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 120_000
    key_max_concurrent_polls: Annotated[int, msgspec.Meta(ge=0)] = 128
    too_many_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 500
    embedded_max_memory_bytes: Annotated[int, msgspec.Meta(ge=100_000_000)] = 1_000_000_000


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. Raises StartupError naming the variable that is wrong or misspelt."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    # A variable that is set but empty is not given, as compose files and unit files leave them.
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    given = {name: value for name, value in ours.items() if not NOT_OURS.fullmatch(name)}
    for name in given.keys() - fields.keys():
        # The prefix is common to all, so it must not make two names look alike.
        near = difflib.get_close_matches(
            name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in fields], n=1
        )
        raise StartupError(f"{name} is not a setting{f'; did you mean {PREFIX}{near[0]}?' if near else ''}")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).partition(" - at `$.")[2].rstrip("`")
        raise StartupError(f"{name}: {given[name]!r} is not {_expected(fields[name])}") from None
    refresh_ms, max_age_ms = settings.directory_refresh_ms, settings.directory_max_age_ms
    if refresh_ms > max_age_ms:
        raise StartupError(
            f"PULSEHOUSE_DIRECTORY_REFRESH_MS: {refresh_ms} is above PULSEHOUSE_DIRECTORY_MAX_AGE_MS ({max_age_ms}), "
            "so most requests would be answered 503; use a smaller number"
        )
    if settings.insert_quorum_replicas and not settings.clickhouse_replicated:
        raise StartupError("PULSEHOUSE_INSERT_QUORUM_REPLICAS needs PULSEHOUSE_CLICKHOUSE_REPLICATED=true")
    if settings.clickhouse_replicated and not settings.clickhouse_cluster:
        raise StartupError("PULSEHOUSE_CLICKHOUSE_REPLICATED needs PULSEHOUSE_CLICKHOUSE_CLUSTER")
    if settings.clickhouse_cluster and not settings.clickhouse_url:
        raise StartupError("PULSEHOUSE_CLICKHOUSE_CLUSTER needs PULSEHOUSE_CLICKHOUSE_URL, which names its nodes")
    return settings


def _expected(field: msgspec.structs.FieldInfo) -> str:
    """What a field must be, in words: one of some, or a number with the unit that its name ends in."""
    if field.type is bool:
        return "true or false"
    if get_origin(field.type) is Literal:
        return f"one of {', '.join(get_args(field.type))}"
    (bounds,) = field.type.__metadata__
    unit = _unit(field.name)
    limits = f"of at least {bounds.ge}" if bounds.le is None else f"from {bounds.ge} to {bounds.le}"
    return f"a whole number of {unit} {limits}"


def _unit(name: str) -> str:
    if name.endswith("_ms"):
        return "milliseconds"
    return "replicas" if name.endswith("_replicas") else name.rpartition("_max_")[2].replace("_", " ")
