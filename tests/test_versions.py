"""Versions of ClickHouse that are known to be wrong are named at the start, with the one to take."""

import logging

import pytest

from app.store.statements import load_statements
from app.store.versions import what_is_wrong
from tests.conftest import MakeApi


@pytest.mark.parametrize(
    ("version", "take"),
    [
        ("26.2.99.1", None),
        ("26.3.17.64", None),
        ("26.3.17.65", "26.5.7.20"),
        ("26.3.22.6", "26.5.7.20"),
        ("26.4.5.150", None),
        ("26.4.5.151", "26.5.7.20"),
        ("26.5.6.62", None),
        ("26.5.6.63", "26.5.7.20"),
        ("26.5.7.19", "26.5.7.20"),
        ("26.5.7.20", None),
        ("26.6.2.97", None),
        ("26.6.2.98", "26.6.3.19"),
        ("26.6.3.19", None),
        ("26.7.1.1", "26.7.3.9"),
        ("26.7.3.8\n", "26.7.3.9"),
        ("26.7.3.9", None),
        ("26.8.1.1", None),
        ("26.9.2.1", None),
        ("27.3.17.65", None),
        ("head", None),
        ("", None),
    ],
)
def test_a_wrong_version_is_named_with_the_one_to_take(version: str, take: str | None) -> None:
    wrong = what_is_wrong(version)
    assert wrong is None if take is None else f"take {take} or later" in str(wrong)


async def test_the_start_warns_of_a_wrong_version(make_api: MakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api = await make_api()
    fetch = api.store.engine.fetch
    version = load_statements()["version"]

    async def old(statement: object, *parameters: object) -> bytes:
        return b"26.7.2.1\n" if statement == version else await fetch(statement, *parameters)  # type: ignore[arg-type]

    api.store.engine.fetch = old  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.WARNING):
        await api.store.warn_of_version()
    assert "ClickHouse 26.7.2.1" in caplog.text
    assert "take 26.7.3.9 or later" in caplog.text
