"""A ClickHouse server of its own whose users.xml gives analysts what `pulsehouse analyst add` gives them by SQL.

Where a server takes no CREATE USER, the same filters, rights and limits are tried this way: they are read from
sql/analysts.
The policies of users.xml are permissive, those of the SQL restrictive; with no others beside them that is the same.
"""

import re
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from app.store.analysts import COPY, ROLE
from app.store.cluster import OWN
from app.store.statements import load_statements, with_identifiers
from tests.kit.ports import free_port
from tests.kit.waiting import wait_until

DATABASE = "pulsehouse"
PASSWORD = "x"
_STATEMENTS = load_statements()


ON_CLUSTER = {"database": DATABASE, "own": DATABASE + OWN, "sites": "analyst_sites"}
HERE = {"database": DATABASE, "own": DATABASE, "sites": "sites"}


def text_of(name: str, names: Mapping[str, str] = HERE) -> str:
    return with_identifiers(_STATEMENTS[f"analysts/{name}"], names).text.replace("`", "")


def policies(names: Mapping[str, str] = HERE) -> dict[str, str]:
    """Of each table what analysts see of it."""
    found = {}
    for name in (*ROLE, *COPY) if names is ON_CLUSTER else ROLE:
        if match := re.search(r" ON (?:\w+)\.(\w+)\nAS RESTRICTIVE USING (.+)\nTO", text_of(name, names)):
            found[match[1]] = match[2]
    return found


def rights(names: Mapping[str, str] = HERE) -> list[str]:
    """The rights of analysts, as users.xml takes them."""
    text = text_of("rights", names) + (text_of("cluster/rights", names) if names is ON_CLUSTER else "")
    return [f"GRANT {right}" for right in re.findall(r"^    (SELECT.* ON [\w.]+)", text, re.MULTILINE)]


def limits() -> str:
    """The profile of analysts, as users.xml has it."""
    values, constraints = [], []
    for name, value, bounds in re.findall(r"^    (\w+) = (\S+)( [^,\n]+)?,?$", text_of("limits"), re.MULTILINE):
        values.append(f"<{name}>{value.strip(chr(39) + ',')}</{name}>")
        marks = [f"<{kind.lower()}>{bound}</{kind.lower()}>" for kind, bound in re.findall(r"(MIN|MAX) (\d+)", bounds)]
        marks += ["<const/>"] if "CONST" in bounds else []
        constraints.append(f"<{name}>{''.join(marks)}</{name}>")
    return f"{''.join(values)}<constraints>{''.join(constraints)}</constraints>"


def users_xml(analysts: list[str], others: Mapping[str, str], names: Mapping[str, str] = HERE) -> str:
    """A users.xml with an administrator, these analysts, and other users with what is in their elements."""
    granted = "".join(f"<query>{right}</query>" for right in rights(names))
    filters = "".join(f"<{table}><filter>{escape(text)}</filter></{table}>" for table, text in policies(names).items())
    as_analyst = f"<grants>{granted}</grants><databases><{names['own']}>{filters}</{names['own']}></databases>"
    users = "".join(
        f"<{name}><password>{PASSWORD}</password><networks><ip>::/0</ip></networks><profile>analyst</profile>"
        f"<quota>default</quota>{what}</{name}>"
        for name, what in {**dict.fromkeys(analysts, as_analyst), **others}.items()
    )
    return (
        f"<clickhouse><profiles><default/><analyst>{limits()}</analyst></profiles><quotas><default/></quotas><users>"
        "<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota><access_management>1</access_management></default>{users}</users></clickhouse>"
    )


class UsersServer:
    """A running server, asked over HTTP as one of its users."""

    def __init__(self, port: int) -> None:
        self.url = f"http://default:@127.0.0.1:{port}/{DATABASE}"
        self._address = f"http://127.0.0.1:{port}/"

    def ask(self, sql: str, user: str = "default", database: str = DATABASE, settings: str = "") -> tuple[int, str]:
        """The status and body of an answer."""
        password = "" if user == "default" else PASSWORD
        request = urllib.request.Request(
            f"{self._address}?database={database}&wait_end_of_query=1{settings}",
            sql.encode(),
            {"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read().decode(errors="replace").rstrip("\n")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def select(self, sql: str, user: str = "default") -> str:
        status, body = self.ask(sql, user)
        assert status == 200, body
        return body

    def is_up(self) -> bool:
        try:
            return self.ask("SELECT 1", database="default")[0] == 200
        except OSError:
            return False


@contextmanager
def users_server(
    command: str, folder: Path, users: str, *, config: str = "<clickhouse></clickhouse>", tcp_port: int = 0
) -> Iterator[UsersServer]:
    """Run a server by a command with {port}, {tcp_port}, {path}, {users} and {config} in it, for a while."""
    files = {"users": folder / "users.xml", "config": folder / "config.xml"}
    files["users"].write_text(users, encoding="utf-8")
    files["config"].write_text(config, encoding="utf-8")
    port = free_port()
    paths = {name: shlex.quote(str(path)) for name, path in {**files, "path": folder / "data"}.items()}
    filled = command.format(port=port, tcp_port=tcp_port or free_port(), **paths)
    process = subprocess.Popen(
        f"exec {filled.removeprefix('exec ')}", shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        server = UsersServer(port)
        wait_until(server.is_up)
        yield server
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def users_cluster(command: str, folder: Path, users: Sequence[str], *, secret: str) -> Iterator[list[UsersServer]]:
    """Run a shard for each users.xml, of a cluster named as the database; without `secret` they ask as `default`.

    They may write backups, all into one folder.
    """
    tcp_ports = [free_port() for _ in users]
    replicas = "".join(
        f"<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>" for port in tcp_ports
    )
    known = f"<secret>{secret}</secret>" if secret else ""
    config = (
        f"<clickhouse><remote_servers><{DATABASE}>{known}{replicas}</{DATABASE}></remote_servers>"
        f"<backups><allowed_path>{folder / 'backups'}</allowed_path></backups></clickhouse>"
    )
    with ExitStack() as servers:
        running = []
        for number, (port, of_node) in enumerate(zip(tcp_ports, users, strict=True)):
            (folder / str(number)).mkdir(parents=True)
            server = users_server(command, folder / str(number), of_node, config=config, tcp_port=port)
            running.append(servers.enter_context(server))
        yield running
