"""`pulsehouse site` and `key`: on the database, and with --url through a running service, an embedded one included."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.site_files import read_sites
from tests.service import Result, Service, run
from tests.test_cli import Run, refused, run_here
from tests.test_cli import server_cli as server_cli


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service on the embedded engine, and an admin token of its tenant acme."""
    data_dir = str(tmp_path_factory.mktemp("managed") / "data")
    for arguments in (("--domain", "example.com", "--id", "site_a"), ("--domain", "example.org", "--id", "site_b")):
        assert run("site", "add", "--tenant", "acme", *arguments, data_dir=data_dir).returncode == 0
    created = run("key", "create", "--tenant", "acme", "--scope", "admin", "--json", data_dir=data_dir)
    with Service(data_dir=data_dir) as service:
        yield service, json.loads(created.stdout)["token"]


@pytest.fixture
def remote(embedded: tuple[Service, str]) -> Run:
    service, token = embedded
    return lambda *arguments: run_here(*arguments, "--url", service.url, "--key", token)


def answer(result: Result) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_sites_and_keys_are_managed_while_the_embedded_service_runs(embedded: tuple[Service, str], remote: Run) -> None:
    service, _ = embedded
    added = remote("site", "add", "--domain", "www.Example.com", "--id", "site_c", "--json")
    assert answer(added) == {"id": "site_c"}
    assert added.stderr == "Warning: www.example.com is a domain of the tenant's site site_a too\n"
    assert refused(remote("site", "add", "--domain", "a.example", "--id", "site_c"), 1) == (
        "site site_c exists already; change it with: pulsehouse site set site_c "
        "--domain www.example.com --domain a.example"
    )
    changed = remote("site", "set", "site_c", "--domain", "c.example")
    assert changed.stdout == "site site_c has c.example, name www.example.com\n"
    sites = answer(remote("site", "list", "--json"))
    assert {"id": "site_c", "domains": ["c.example"], "name": "www.example.com"} in sites
    assert "c.example" in remote("site", "list").stdout

    key = answer(remote("key", "create", "--scope", "read", "--site", "site_c", "--expires-days", "7", "--json"))
    assert service.poll(key["token"], "site_c").status_code == 200
    assert key["id"] in remote("key", "list").stdout
    assert remote("key", "revoke", key["id"]).stdout.startswith(f"revoked key {key['id']}")
    assert service.poll(key["token"], "site_c").status_code == 401
    states = {row["id"]: row["state"] for row in answer(remote("key", "list", "--json"))}
    assert states[key["id"]] == "revoked"

    assert answer(remote("site", "remove", "site_c", "--yes", "--json")) == {"id": "site_c", "removed": True}
    assert service.track("site_c").status_code == 404
    for command in (("site", "remove", "site_c", "--yes"), ("site", "set", "site_c", "--name", "x")):
        assert refused(remote(*command), 1) == "no site site_c; see: pulsehouse site list"
    assert refused(remote("key", "revoke", "key_x"), 1) == "no key key_x; see: pulsehouse key list"
    assert refused(remote("key", "create", "--scope", "read", "--site", "site_c"), 1) == (
        "the key's tenant has no site site_c; see: pulsehouse site list"
    )


def test_a_file_of_sites_is_added_through_a_running_service(remote: Run, tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    lines = [f"{n}.example www.{n}.example,Nr. {n},many_{n}" for n in range(1_200)]
    file.write_text("\n".join(["domains,name,id", *lines]))
    assert answer(remote("site", "import", str(file), "--json")) == {"added": [f"many_{n}" for n in range(1_200)]}
    assert len(answer(remote("site", "list", "--json"))) >= 1_202
    again = remote("site", "import", str(file))
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("is taken\n") == 20
    assert again.stderr.endswith(f"Error: {file}: 1200 lines are wrong; nothing was stored\n")


def test_what_is_wrong_with_a_service_is_said_in_one_line(
    embedded: tuple[Service, str], remote: Run, unused_port: int
) -> None:
    service, token = embedded
    nowhere = f"http://127.0.0.1:{unused_port}"
    assert "is --url right" in refused(run_here("site", "list", "--url", nowhere, "--key", "ph_live_x"), 1)
    assert refused(run_here("site", "list", "--url", service.url, "--key", "ph_live_x"), 1) == (
        "Invalid or expired token (401); give another token with --key"
    )
    key = answer(remote("key", "create", "--scope", "read", "--json"))
    assert refused(run_here("key", "list", "--url", service.url, "--key", key["token"]), 1) == (
        "Access denied (403); --key must be of scope admin"
    )
    assert "give a token of scope admin" in refused(run_here("site", "list", "--url", service.url), 2)
    assert "--tenant: with --url it is that of --key" in refused(
        run_here("site", "add", "--url", service.url, "--key", token, "--tenant", "x", "--domain", "a.example"), 2
    )
    assert "Missing option '--tenant'" in refused(run_here("site", "add", "--domain", "a.example"), 2)


def test_sites_of_the_database_are_removed_imported_and_listed_by_tenant(server_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "sites.jsonl"
    file.write_text('{"domains": ["a.example"], "id": "site_a"}\n\n{"domains": ["b.example"], "name": "B"}\n')
    assert server_cli("site", "import", str(file), "--tenant", "acme").stdout == "added 2 sites\n"
    server_cli("site", "add", "--tenant", "rival", "--domain", "r.example", "--id", "site_r")
    acme = answer(server_cli("site", "list", "--tenant", "acme", "--json"))
    assert sorted(site["name"] for site in acme) == ["B", "a.example"]
    assert server_cli("site", "remove", "site_a", "--yes").returncode == 0
    assert len(answer(server_cli("site", "list", "--tenant", "acme", "--json"))) == 1
    assert refused(server_cli("site", "remove", "site_a", "--yes"), 1) == "no site site_a; see: pulsehouse site list"
    added = server_cli("site", "add", "--tenant", "rival", "--domain", "a.example", "--id", "site_a")
    assert refused(added, 1) == "id: site_a is taken; choose another id"
    assert server_cli("site", "add", "--tenant", "acme", "--domain", "a.example", "--id", "site_a").returncode == 0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("domains,name\na.example,\na.example," + "x" * 501, ["line 3: name: use 1 to 500 characters, not blanks alone"]),  # noqa: E501
        ("domains,id\na.example,x\nb.example,x\n", ["line 3: id: x stands on line 2 too"]),
        ("domains,id\na.example\n", ["line 2: expected 2 columns"]),
        ("domain\na.example\n", ["line 1: the first line must name the columns: domains, and if wanted name and id"]),
        ("", ["line 1: the first line must name the columns: domains, and if wanted name and id"]),
        ('domains\n"a.example\n', ["line 2: unexpected end of data"]),
        ('{"domains": ["a.example"]}\n{"domains": 7}\n', ["line 2: Expected array, got int - at $.domains"]),
        ('{"domains": ["a.example"]}\nx\n', ["line 2: JSON is malformed: invalid character (byte 0)"]),
        ('{"domains": ["a.example"], "tenant": "x"}', ["line 1: Object contains unknown field tenant"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_by_its_lines(text: str, wrong: list[str]) -> None:
    assert read_sites(text, "acme")[1] == wrong
