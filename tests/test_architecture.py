"""The rules that keep the code small enough to hold in the head: imports run one way, SQL lives in SQL files."""

import ast
import re
from pathlib import Path

import pytest

from app.domain.errors import StartupError
from app.store.migrations import load_migrations
from app.store.statements import load_statements

APP = Path(__file__).parent.parent / "app"
LAYERS = {
    "app.domain": set(),
    "app.settings": {"app.domain"},
    "app.metrics": set(),
    "app.process": set(),
    "app.log": set(),
    "app.store": {"app.domain", "app.metrics"},
    "app.http": {"app.domain", "app.metrics", "app.store"},
    "app.client": {"app.domain"},
    "app.parts": {"app.domain", "app.settings", "app.store"},
    "app.wiring": {"app.domain", "app.settings", "app.log", "app.parts", "app.process", "app.store", "app.http"},
    "app.cli": {
        "app.domain",
        "app.settings",
        "app.log",
        "app.parts",
        "app.process",
        "app.store",
        "app.http",
        "app.client",
        "app.wiring",
    },
}
"""Each part, and the parts that it may import."""


def layer_of(module: str) -> str | None:
    return next((layer for layer in LAYERS if module == layer or module.startswith(layer + ".")), None)


def imports() -> list[tuple[str, str]]:
    """Every import in app/ as (importing module, imported module)."""
    found = []
    for path in APP.rglob("*.py"):
        module = ".".join(path.relative_to(APP.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found += [(module, node.module), *((module, f"{node.module}.{name.name}") for name in node.names)]
            elif isinstance(node, ast.Import):
                found += [(module, name.name) for name in node.names]
    return found


def test_imports_run_one_way() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, imported in imports()
        if (other := layer_of(imported)) and (own := layer_of(module)) and other not in {own, *LAYERS[own]}
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("litestar", {"app.http", "app.wiring"}),
        ("clickhouse_connect", {"app.store"}),
        ("granian", {"app.wiring", "app.cli"}),
        ("httpx", {"app.client", "app.cli"}),
        ("rich_click", {"app.cli"}),
        ("app.settings", {"app.parts", "app.wiring", "app.cli"}),
    ],
)
def test_a_library_stays_in_its_part(library: str, home: set[str]) -> None:
    users = {
        layer_of(module) for module, imported in imports() if imported.split(".")[0] == library or imported == library
    }
    assert users
    assert users <= home


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path.name for path in APP.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    files = [*APP.rglob("*.py"), *APP.rglob("*.js")]
    lines = {str(path.relative_to(APP)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lines.items() if count > 300} == {}


def test_there_is_no_sql_in_python() -> None:
    sql = re.compile(r"\b(SELECT .* FROM|INSERT INTO|CREATE (TABLE|DATABASE)|ALTER TABLE|OPTIMIZE TABLE)\b", re.DOTALL)
    wrong = []
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and sql.search(node.value):
                wrong.append(f"{path.name}:{node.lineno}")
    assert wrong == []


def test_every_sql_file_has_a_header_that_declares_its_parameters(tmp_path: Path) -> None:
    statements = load_statements()
    assert {"realtime", "track/insert_signals"} <= statements.keys()
    for statement in [*statements.values(), *(migration.statement for migration in load_migrations())]:
        assert statement.text.startswith("-- "), statement.name
        assert ";" not in re.sub(r"--.*|'[^']*'", "", statement.text), f"{statement.name}: one statement per file"
    (tmp_path / "wrong.sql").write_text(
        "-- wrong: declares another parameter.\n--\n-- Params   b  String  x\nSELECT {a:String}\n"
    )
    with pytest.raises(StartupError, match=r"wrong\.sql: header declares \['b'\], statement uses \['a'\]"):
        load_statements(tmp_path)
