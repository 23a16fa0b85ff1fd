"""The command `pulsehouse` as it is installed: what it prints, its errors in one line, and how a service ends."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import Api
from tests.kit.ports import busy_port, free_port
from tests.kit.service import (
    COMMAND_WITHIN_S,
    PULSEHOUSE,
    TIME,
    Result,
    Service,
    environment,
    key,
    make,
    run,
    run_here,
    site,
)
from tests.kit.waiting import wait_until

Run = Callable[..., Result]


def refused(result: Result, code: int) -> str:
    """The one line of an error, and nothing else; `serve` says it in its log."""
    assert (result.returncode, result.stdout) == (code, ""), result
    said = re.fullmatch(rf"(?:Error: |{TIME} CRITICAL main\[\d+\] )(.+)\n", result.stderr)
    assert said, result.stderr
    return said[1]


@pytest.fixture
def server_cli(server_database: str) -> Run:
    """Run the command on a throw-away database of the server, in this process."""
    return lambda *arguments: run_here(*arguments, clickhouse_url=server_database)


@pytest.fixture
def cli(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """The same, or where there is no server a process for each command on the embedded engine, which takes seconds."""
    try:
        run_on_server: Run = request.getfixturevalue("server_cli")
        return run_on_server
    except pytest.skip.Exception:
        return lambda *arguments: run(*arguments, data_dir=str(tmp_path / "data"))


def test_sites_and_keys_are_made_listed_and_revoked(cli: Run) -> None:
    assert json.loads(cli("migrate", "--json").stdout)["applied"][0] == "0001_sites"
    add = ("site", "add", "--tenant", "acme", "--domain", "https://Example.com/", "--domain", "bücher.example")
    added = cli(*add, "--id", "site_a", "--json")
    assert (added.returncode, json.loads(added.stdout)) == (0, {"id": "site_a"})
    assert refused(cli(*add, "--id", "site_a", "--domain", "new.example"), 1) == (
        "site site_a exists already; change it with: pulsehouse site set site_a "
        "--domain example.com --domain xn--bcher-kva.example --domain new.example"
    )
    (site,) = json.loads(cli("site", "list", "--json").stdout)
    assert (site["id"], site["tenant"], site["domains"], site["name"]) == (
        "site_a",
        "acme",
        ["example.com", "xn--bcher-kva.example"],
        "example.com",
    )

    create = ("key", "create", "--tenant", "acme", "--scope", "read")
    key = json.loads(cli(*create, "--site", "site_a", "--expires-days", "30", "--json").stdout)
    assert key.keys() == {"id", "token"}
    assert key["token"].startswith("ph_live_")
    listed = cli("key", "list", "--json").stdout
    assert key["token"] not in listed
    (row,) = json.loads(listed)
    assert [row[name] for name in ("id", "tenant", "scope", "site", "state")] == [
        key["id"],
        "acme",
        "read",
        "site_a",
        "valid",
    ]
    assert json.loads(cli("key", "revoke", key["id"], "--json").stdout) == {"id": key["id"], "revoked": True}
    assert json.loads(cli("key", "list", "--json").stdout)[0]["state"] == "revoked"
    assert "revoked" in cli("key", "list").stdout
    assert refused(cli("key", "revoke", "key_x"), 1) == "no key key_x; see: pulsehouse key list"
    assert refused(cli(*create, "--site", "site_b"), 1) == "tenant acme has no site site_b; see: pulsehouse site list"

    public = ("key", "create", "--tenant", "acme", "--scope", "public")
    assert refused(cli(*public), 2).startswith("--site: a key of scope public is bound to one site; name it; see: ")
    printed = cli(*public, "--site", "site_a").stdout
    (token,) = set(re.findall(r"ph_public_[\w-]+", printed))
    for way in (
        f"https://stats.example.com/?siteId=site_a#token={token}",
        f'<iframe src="https://stats.example.com/embed?siteId=site_a&amp;key={token}" title=',
        f'<img src="https://stats.example.com/badge.svg?siteId=site_a&amp;key={token}" alt=',
        "Put the address of your service in the place of https://stats.example.com.",
    ):
        assert way in printed


def test_a_site_gets_other_domains_and_another_name_and_keeps_the_rest(
    server_cli: Run,
) -> None:
    cli = server_cli
    add = ("site", "add", "--tenant", "acme", "--domain", "example.com")
    cli(*add, "--id", "site_a", "--name", "Example")
    (before,) = json.loads(cli("site", "list", "--json").stdout)
    changed = cli("site", "set", "site_a", "--domain", "Example.com", "--domain", "shop.example")
    assert (changed.returncode, changed.stdout, changed.stderr) == (
        0,
        "site site_a has example.com, shop.example, name Example\n",
        "",
    )
    named = json.loads(cli("site", "set", "site_a", "--name", "Shop", "--json").stdout)
    assert named == {"id": "site_a", "domains": ["example.com", "shop.example"], "name": "Shop"}
    (after,) = json.loads(cli("site", "list", "--json").stdout)
    assert after == before | named | {"updated_at": after["updated_at"]}

    assert refused(cli("site", "set", "site_b", "--name", "x"), 1) == "no site site_b; see: pulsehouse site list"
    assert refused(cli("site", "add", "--tenant", "other", "--domain", "a.example", "--id", "site_a"), 1) == (
        "site site_a exists already; choose another --id"
    )
    second = cli("site", "add", "--tenant", "acme", "--domain", "www.shop.example", "--id", "site_b")
    assert (second.returncode, second.stderr) == (
        0,
        "Warning: www.shop.example is a domain of the tenant's site site_a too\n",
    )
    assert cli("site", "add", "--tenant", "other", "--domain", "example.com", "--id", "site_c").stderr == ""


async def test_a_page_of_a_new_domain_may_send_as_soon_as_workers_know(api: Api) -> None:
    body, headers = {"siteId": "site_a", "path": "/"}, {"Origin": "https://shop.example"}
    assert (await api.track(body, **headers)).json() == {"error": "Origin not allowed"}
    await api.store.tenants.set_site("site_a", ["example.com", "shop.example"], "Example")
    await api.store.refresh()
    assert (await api.track(body, **headers)).json() == {"success": True}
    await api.store.tenants.set_site("nobody", ["example.com"], "Nobody")
    assert [site.id for site in await api.store.tenants.list_sites()] == ["site_a", "site_b"]


ODD = "[red]x[/red] [/] \x1b[31m\x9b2J\x7f\r\n\u2028\u202eevil\u202c " + "long " * 40
SHOWN = "[red]x[/red] [/] �[31m�2J�����evil� " + "long " * 40


def test_tables_and_messages_show_what_people_wrote_as_it_is_and_steer_no_terminal(
    server_cli: Run,
) -> None:
    cli = server_cli
    assert cli("site", "add", "--tenant", ODD, "--domain", "a.example", "--id", "site_a", "--name", ODD).stderr == ""
    header, row = cli("site", "list").stdout.removesuffix("\n").split("\n")
    tenant = SHOWN.strip()
    assert row.startswith(f"site_a   {tenant}   a.example   {tenant}   ")
    assert [header.index(name) for name in ("tenant", "domains", "name")] == [
        row.index(cell) for cell in (tenant, "a.example", tenant + "    ")
    ]
    in_json = cli("site", "list", "--json").stdout
    assert json.loads(in_json)[0]["name"] == ODD
    assert in_json.removesuffix("\n").isprintable()

    odd = ODD.strip()
    cli("key", "create", "--tenant", odd, "--scope", "read")
    assert tenant in cli("key", "list").stdout
    named = cli("site", "set", "site_a", "--name", "[/]\x1b[31m")
    assert named.stdout == "site site_a has a.example, name [/]�[31m\n"
    assert refused(cli("key", "create", "--tenant", "[/]\x1b\u202e", "--scope", "read"), 1) == (
        "tenant [/]�� has no sites; add one with: pulsehouse site add --tenant '[/]��' --domain example.com"
    )
    assert "[/]��" in refused(cli("site", "set", "[/]\x1b\u202e", "--name", "x"), 1)


@pytest.mark.parametrize(
    ("settings", "arguments", "code", "line"),
    [
        (
            {"clickhose_url": "x"},
            ("migrate",),
            1,
            "PULSEHOUSE_CLICKHOSE_URL is not a setting; did you mean PULSEHOUSE_CLICKHOUSE_URL?",
        ),
        (
            {"query_timeout_ms": "abc"},
            ("migrate",),
            1,
            "PULSEHOUSE_QUERY_TIMEOUT_MS: 'abc' is not a whole number of milliseconds from 1 to 600000",
        ),
        (
            {"directory_refresh_ms": "60000"},
            ("serve",),
            1,
            "PULSEHOUSE_DIRECTORY_REFRESH_MS: 60000 is above PULSEHOUSE_DIRECTORY_MAX_AGE_MS (5000)",
        ),
        (
            {"clickhouse_url": "host:8123"},
            ("migrate",),
            1,
            "PULSEHOUSE_CLICKHOUSE_URL: use http://user:password@host:8123/database",
        ),
        (
            {"clickhouse_url": "http://host:none/db"},
            ("serve",),
            1,
            "PULSEHOUSE_CLICKHOUSE_URL: not an address; use http://user:password@host:8123/database",
        ),
        (
            {},
            ("serve", "--workers", "2"),
            2,
            "the embedded engine has one worker; set PULSEHOUSE_CLICKHOUSE_URL to use more; "
            "see: pulsehouse serve --help",
        ),
        ({}, ("serve", "--port", "x"), 2, "'x' is not a valid integer range; see: pulsehouse serve --help"),
        ({}, ("key", "create", "--tenant", "acme"), 2, "Missing option '--scope'."),
        (
            {},
            ("site", "add", "--tenant", "a", "--domain", "a b"),
            2,
            "--domain: 'a b' is not a host name; use one like example.com, without port and path; "
            "see: pulsehouse site add --help",
        ),
        ({}, ("site", "add", "--tenant", " ", "--domain", "a.example"), 2, "--tenant: must not be blank"),
        (
            {},
            ("site", "add", "--tenant", "a", "--domain", "a.example", "--id", "a/b"),
            2,
            "--id: use 1 to 64 letters, digits, - and _",
        ),
        ({}, ("site", "set", "site_a"), 2, "give --domain or --name"),
        ({}, ("sites",), 2, "No such command 'sites'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    settings: dict[str, str], arguments: tuple[str, ...], code: int, line: str, tmp_path: Path
) -> None:
    assert line in refused(run_here(*arguments, **{"data_dir": str(tmp_path), **settings}), code)


@pytest.mark.parametrize(
    ("settings", "arguments", "line"),
    [
        ({"clickhouse_url": "http://host:none/db"}, (), "PULSEHOUSE_CLICKHOUSE_URL: not an address"),
        ({"trusted_proxies": "proxy"}, (), "PULSEHOUSE_TRUSTED_PROXIES: "),
        ({}, ("--workers", "2"), "the embedded engine has one worker"),
    ],
)
def test_serve_says_what_is_wrong_with_its_settings_whatever_listens_on_its_port(
    settings: dict[str, str], arguments: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    with busy_port() as port:
        result = run_here("serve", "--port", str(port), *arguments, **{"data_dir": str(tmp_path), **settings})
    assert refused(result, 2 if arguments else 1).startswith(line)


def test_a_server_that_is_down_is_said_in_one_line() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/pulsehouse"
    line = refused(run_here("site", "list", clickhouse_url=url), 1)
    assert line.endswith("is PULSEHOUSE_CLICKHOUSE_URL right and the server up?")
    assert "secret" not in line


def test_a_wrong_password_is_said_in_one_line(server_url: str) -> None:
    url = f"http://nobody:wrong@{server_url.rpartition('@')[2]}"
    assert refused(run_here("migrate", clickhouse_url=url), 1).endswith(
        "check user and password in PULSEHOUSE_CLICKHOUSE_URL"
    )


def test_a_busy_port_and_an_unusable_folder_are_said_in_one_line(tmp_path: Path) -> None:
    with busy_port() as port:
        assert refused(run_here("serve", "--port", str(port), data_dir=str(tmp_path)), 1) == (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port"
        )
    file = tmp_path / "file"
    file.touch()
    for folder, why in ((file, "File exists"), (Path("/proc/x"), "No such file or directory")):
        for command in (("site", "list"), ("serve", "--port", str(free_port()))):
            assert refused(run_here(*command, data_dir=str(folder)), 1) == (
                f"PULSEHOUSE_DATA_DIR: cannot use {folder}: {why}; choose a folder that can be written"
            )


def test_of_several_starts_on_a_folder_at_once_one_has_it_and_the_others_say_so(tmp_path: Path) -> None:
    folder = str(tmp_path / "new")
    starts = [
        subprocess.Popen(
            [PULSEHOUSE, "site", "list"],
            env=environment(data_dir=folder),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    said = [start.communicate(timeout=COMMAND_WITHIN_S)[1].decode() for start in starts]
    in_use = (
        f"Error: {folder} is in use by another Pulsehouse process; "
        "stop it, or set PULSEHOUSE_DATA_DIR to another folder\n"
    )
    assert "" in said
    assert set(said) <= {"", in_use}


@pytest.fixture(scope="module")
def folder_with_a_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "data"
    make(site(), data_dir=str(folder))
    return folder


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("rm -r metadata", "is damaged: metadata/pulsehouse.sql is missing; restore a backup"),
        ("rm -r store", "is damaged: metadata/pulsehouse is missing; restore a backup"),
        ("rm -r $(realpath data/pulsehouse/sites)", "is damaged: data/pulsehouse/sites is missing; restore a backup"),
        ("for f in data/pulsehouse/sites/*/data.bin; do : > $f; done", "is damaged: 1 of its parts cannot be read"),
        ("echo x > metadata/pulsehouse.sql", ": it is damaged, or open in another program"),
    ],
)
def test_a_damaged_folder_is_not_taken_for_an_empty_one(
    folder_with_a_site: Path, tmp_path: Path, harm: str, line: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(folder_with_a_site, folder, symlinks=True)
    subprocess.run(["sh", "-ec", harm], cwd=folder, check=True)
    result = run("site", "list", data_dir=str(folder))
    assert (result.returncode, result.stdout) == (1, "")
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: PULSEHOUSE_DATA_DIR: ")
    assert str(folder) in error
    assert line in error


@pytest.mark.deep
def test_serve_on_the_embedded_engine_has_its_folder_to_itself_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    _, made = make(site(), key(), data_dir=data_dir)
    token = made["token"]
    with Service(data_dir=data_dir) as service:
        assert service.track().json() == {"success": True}
        assert service.poll(token).json()["pageviewsLast5Min"] == 1
        assert refused(run("site", "list", data_dir=data_dir), 1) == (
            f"{data_dir} is in use by another Pulsehouse process; stop it, or set PULSEHOUSE_DATA_DIR to another folder"
        )
        code, log = service.stop(signal.SIGTERM)
        assert code == 0
        assert f"embedded, data in {data_dir}" in log
        assert "WARNING" not in log
        assert "Traceback" not in log
    with Service(data_dir=data_dir) as service:
        assert service.poll(token).json()["pageviewsLast5Min"] == 1
        assert service.stop(signal.SIGINT)[0] == 0


def test_a_request_head_over_its_limit_is_431(tmp_path: Path) -> None:
    with Service(data_dir=str(tmp_path), head_max_bytes="16384") as service:
        assert service.get(f"/api/realtime?siteId={'x' * 9_000}").status_code == 401
        assert service.get(f"/api/realtime?siteId={'x' * 40_000}").status_code == 431
        assert httpx.get(f"{service.url}/health", headers={"X-Long": "y" * 40_000}).status_code == 431
        assert service.get("/health").status_code == 200


def test_several_workers_count_together_and_refuse_a_revoked_key(server_database: str) -> None:
    _, reader = make(site(), key(), clickhouse_url=server_database)
    with Service("--workers", "2", clickhouse_url=server_database) as service:
        for pageviews in range(1, 11):  # each on a new connection, so on either worker
            assert service.track().status_code == 200
            assert service.poll(reader["token"]).json()["pageviewsLast5Min"] == pageviews
        metrics = service.get("/metrics").text
        assert "pulsehouse_signals_committed_total 10.0" in metrics
        assert "pulsehouse_polls_answered_total 10.0" in metrics
        make(("key", "revoke", reader["id"]), clickhouse_url=server_database)
        wait_until(lambda: {service.poll(reader["token"]).status_code for _ in range(12)} == {401})
        code, log = service.stop()
        assert (code, "Traceback" in log) == (0, False), log
