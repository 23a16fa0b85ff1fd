"""Settings: read once, checked, and wrong ones named."""

import contextlib

import msgspec
import pytest

from app.domain.errors import StartupError
from app.settings import Settings, read_settings
from app.wiring import create_engine, trusted_proxies


def test_settings_are_read_from_the_environment() -> None:
    settings = read_settings(
        {"PULSEHOUSE_QUERY_TIMEOUT_MS": "250", "PULSEHOUSE_TRUSTED_PROXIES": "10.0.0.0/8", "HOME": "/x"}
    )
    assert settings == Settings(query_timeout_ms=250, trusted_proxies="10.0.0.0/8")


def test_every_setting_is_read_by_its_name() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(Settings)]
    unheard = []
    for name in names:
        with contextlib.suppress(StartupError):  # of one that is heard, and is no number or word of its choice
            if read_settings({name: "x"}) == Settings():
                unheard.append(name)
    assert unheard == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "PULSEHOUSE_QUERY_TIMEOUT",
            "1",
            "PULSEHOUSE_QUERY_TIMEOUT is not a setting; did you mean PULSEHOUSE_QUERY_TIMEOUT_MS?",
        ),
        ("PULSEHOUSE_ZZZ", "1", "PULSEHOUSE_ZZZ is not a setting"),
        (
            "PULSEHOUSE_QUERY_TIMEOUT_MS",
            "soon",
            "PULSEHOUSE_QUERY_TIMEOUT_MS: 'soon' is not a whole number of milliseconds from 1 to 600000",
        ),
        (
            "PULSEHOUSE_QUERY_TIMEOUT_MS",
            "0",
            "PULSEHOUSE_QUERY_TIMEOUT_MS: '0' is not a whole number of milliseconds from 1 to 600000",
        ),
        (
            "PULSEHOUSE_QUERY_MAX_SITES",
            "1000000",
            "PULSEHOUSE_QUERY_MAX_SITES: '1000000' is not a whole number of sites from 1 to 100000",
        ),
        (
            "PULSEHOUSE_BODY_MAX_BYTES",
            "1 MB",
            "PULSEHOUSE_BODY_MAX_BYTES: '1 MB' is not a whole number of bytes of at least 1",
        ),
        (
            "PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE",
            "-1",
            "PULSEHOUSE_TRACK_MAX_SIGNALS_PER_MINUTE: '-1' is not a whole number of signals per minute of at least 0",
        ),
        (
            "PULSEHOUSE_DIRECTORY_REFRESH_MS",
            "5001",
            "PULSEHOUSE_DIRECTORY_REFRESH_MS: 5001 is above PULSEHOUSE_DIRECTORY_MAX_AGE_MS (5000), "
            "so most requests would be answered 503; use a smaller number",
        ),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(StartupError) as error:
        read_settings({name: value})
    assert str(error.value) == message


def test_sites_and_keys_may_be_refreshed_as_rarely_as_they_may_be_old() -> None:
    given = {"PULSEHOUSE_DIRECTORY_REFRESH_MS": "9000", "PULSEHOUSE_DIRECTORY_MAX_AGE_MS": "9000"}
    assert read_settings(given) == Settings(directory_refresh_ms=9_000, directory_max_age_ms=9_000)


@pytest.mark.parametrize("url", ["localhost:8123", "ftp://x/y", "http://", "http://x:port/y"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(StartupError, match="PULSEHOUSE_CLICKHOUSE_URL"):
        create_engine(Settings(clickhouse_url=url))


def test_a_proxy_that_is_no_address_is_named() -> None:
    assert trusted_proxies(Settings(trusted_proxies=" 10.0.0.0/8, ::1 ,")) == [
        "10.0.0.0/8",
        "::ffff:10.0.0.0/104",
        "::1/128",
    ]
    with pytest.raises(StartupError, match="PULSEHOUSE_TRUSTED_PROXIES: 'proxy"):
        trusted_proxies(Settings(trusted_proxies="proxy.internal"))
