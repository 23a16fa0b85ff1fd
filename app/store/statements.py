"""Loads the SQL files: one statement per file, its path is its name, its header tells its parameters."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.domain.errors import StartupError

APP = Path(__file__).parent.parent
ROOT = APP if (APP / "sql").is_dir() else APP.parent
"""Where sql/ and migrations/ are: inside the package in a wheel, beside it in a checkout."""
SQL_FOLDER = ROOT / "sql"
MIGRATIONS_FOLDER = ROOT / "migrations"

_USED = re.compile(r"\{(\w+):")
_DECLARED = re.compile(r"^--\s+(?:Params\s+)?(\w+)\s{2,}[A-Z]\w+")


class Statement(msgspec.Struct, frozen=True):
    """A named statement, ready to run with typed parameters."""

    name: str
    text: str


def load_statements(folder: Path = SQL_FOLDER) -> dict[str, Statement]:
    """Return every statement below `folder` by name ("track/insert_signals").

    Raises StartupError when a header does not declare exactly the parameters that its statement uses.
    """
    statements = {}
    for path in sorted(folder.rglob("*.sql")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        declared, used = _declared(text), set(_USED.findall(_without_comments(text)))
        if declared != used:
            raise StartupError(f"sql/{name}.sql: header declares {sorted(declared)}, statement uses {sorted(used)}")
        statements[name] = Statement(name, text)
    return statements


def with_identifiers(statement: Statement, identifiers: Mapping[str, str]) -> Statement:
    """The statement with its {name:Identifier} written out, each quoted as one name, whatever it holds.

    For statements about rights: ClickHouse takes such parameters for tables in queries and for the name in CREATE USER,
    but not in GRANT, CREATE ROW POLICY and DROP USER.
    """
    text = statement.text
    for name, value in identifiers.items():
        quoted = value.replace("\\", "\\\\").replace("`", "\\`")
        text = text.replace(f"{{{name}:Identifier}}", f"`{quoted}`")
    return Statement(statement.name, text)


def _declared(text: str) -> set[str]:
    names: set[str] = set()
    inside = False
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        label = line[3:11].strip()
        inside = label == "Params" or (inside and not label)
        if inside and (match := _DECLARED.match(line)):
            names.add(match[1])
    return names


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
