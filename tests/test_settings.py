"""Settings: read once, checked, and wrong ones named."""

import pytest

from app.domain.errors import StartupError
from app.settings import Settings, read_settings
from app.wiring import create_engine, trusted_proxies


def test_settings_are_read_from_the_environment() -> None:
    settings = read_settings(
        {"PULSEHOUSE_QUERY_TIMEOUT_MS": "250", "PULSEHOUSE_TRUSTED_PROXIES": "10.0.0.0/8", "HOME": "/x"}
    )
    assert settings == Settings(query_timeout_ms=250, trusted_proxies="10.0.0.0/8")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "PULSEHOUSE_QUERY_TIMEOUT",
            "1",
            "PULSEHOUSE_QUERY_TIMEOUT is not a setting; did you mean PULSEHOUSE_QUERY_TIMEOUT_MS?",
        ),
        ("PULSEHOUSE_ZZZ", "1", "PULSEHOUSE_ZZZ is not a setting"),
        ("PULSEHOUSE_QUERY_TIMEOUT_MS", "soon", "PULSEHOUSE_QUERY_TIMEOUT_MS: expected int, got str"),
        ("PULSEHOUSE_QUERY_TIMEOUT_MS", "0", "PULSEHOUSE_QUERY_TIMEOUT_MS: expected int >= 1"),
        ("PULSEHOUSE_QUERY_MAX_SITES", "1000000", "PULSEHOUSE_QUERY_MAX_SITES: expected int <= 100000"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(StartupError) as error:
        read_settings({name: value})
    assert str(error.value) == message


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
