"""What can go wrong with the database, in words, with the way out."""

import re

WAYS_OUT = {
    None: "is PULSEHOUSE_CLICKHOUSE_URL right and the server up?",
    81: "create it, or let the user of PULSEHOUSE_CLICKHOUSE_URL create it",
    164: "the service needs a user that may write; docs/operations.md lists the rights",
    192: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
    194: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
    493: "there is a user of that name; remove it first",
    497: "docs/operations.md lists the rights that the service needs",
    514: "this ClickHouse cannot create users: it has no user directory that SQL may write to",
    516: "check user and password in PULSEHOUSE_CLICKHOUSE_URL",
}
"""What to do about an error of ClickHouse, by its number; None where it gave no answer."""

_SAID = re.compile(r"DB::Exception: (.+?)\.? \([A-Z_0-9]+\)")


def explain(error: Exception) -> str:
    """What an error says and what to do about it, on one line."""
    what, way_out = what_and_way_out(error)
    return f"{what}; {way_out}" if way_out else what


def what_and_way_out(error: Exception) -> tuple[str, str]:
    """What an error says, and what to do about it where its own text does not say that."""
    from app.store.engine import EngineError  # not above: it brings the driver along

    if not isinstance(error, EngineError):
        return str(error), ""
    # What ClickHouse said, without the frame that the driver puts around it.
    said = _SAID.search(error.detail)
    what = said[1] if said else error.detail.partition(", server response: <")[0] or str(error)
    return f"ClickHouse: {what}", WAYS_OUT.get(error.code, "see docs/diagnosing.md")
