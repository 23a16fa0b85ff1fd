"""The model itself, on the example of the public documentation and on hand-made cases."""

from datetime import UTC, datetime, timedelta

from tests.kit.model import Sent, answer, contradictions

NOW = datetime(2024, 12, 10, 14, 32, 20, tzinfo=UTC)


def sent(seconds_ago: float, visitor: str, page: str, kind: str = "pageview", country: str | None = None) -> Sent:
    return Sent("s", NOW - timedelta(seconds=seconds_ago), kind, visitor, page, country)


def test_the_documented_example_has_five_minutes_that_end_with_the_one_in_progress() -> None:
    minutes = [entry["minute"] for entry in answer([], "s", NOW)["visitorsPerMinute"]]
    assert minutes == ["14:28", "14:29", "14:30", "14:31", "14:32"]
    assert answer([], "s", NOW)["timestamp"] == "2024-12-10T14:32:20Z"


def test_a_history_worked_out_by_hand() -> None:
    history = [
        sent(261, "early", "/gone"),  # 14:27:59, a second before the window
        sent(260, "ann", "/"),
        sent(12, "ann", "/docs", "heartbeat"),
        sent(5, "bob", "/pricing", country="US"),
        Sent("other", NOW, "pageview", "eve", "/", None),
    ]
    assert answer(history, "s", NOW) == {
        "activeVisitors": 2,
        "pageviewsLast5Min": 2,
        "pageBreakdown": {"/docs": 1, "/pricing": 1},
        "recentPageviews": [
            {"page": "/pricing", "timestamp": "2024-12-10T14:32:15Z", "country": "US"},
            {"page": "/", "timestamp": "2024-12-10T14:28:00Z", "country": None},
        ],
        "visitorsPerMinute": [
            {"minute": "14:28", "visitors": 1},
            {"minute": "14:29", "visitors": 0},
            {"minute": "14:30", "visitors": 0},
            {"minute": "14:31", "visitors": 0},
            {"minute": "14:32", "visitors": 2},
        ],
        "timestamp": "2024-12-10T14:32:20Z",
    }


def test_contradictions_are_found() -> None:
    fine = answer([sent(1, "ann", "/")], "s", NOW)
    assert contradictions(fine) == []
    for field, value in (
        ("activeVisitors", 2),
        ("pageviewsLast5Min", 2),
        ("pageBreakdown", {}),
        ("recentPageviews", []),
    ):
        assert contradictions(fine | {field: value})
