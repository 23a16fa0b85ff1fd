"""`pulsehouse doctor`: looks at an installation and says what is wrong with it, and what to do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import rich_click as click

from app.cli.database import own_folder
from app.cli.explain import what_and_way_out
from app.cli.output import as_json_option, print_json
from app.client.plain_text import clean
from app.domain.clock import Clock, utc_now
from app.domain.errors import StartupError
from app.domain.findings import Finding
from app.log import configure_logging
from app.parts import create_cluster
from app.settings import Settings, read_settings
from app.store.cluster import Cluster
from app.store.doctor import examine, examine_cluster
from app.store.engine import UNKNOWN_DATABASE, Engine, EngineError
from app.store.migrations import load_migrations
from app.store.statements import Statement, load_statements
from app.wiring import backup_folder, create_engine, trusted_proxies

TOLD_OF_NODES = ("version", "disk")
"""What is told of a node where all is well; the rest is in --json."""
STYLES = {"ok": "green", "warning": "yellow", "error": "red", "unknown": "yellow"}


@click.command()
@as_json_option
def doctor(as_json: bool) -> None:
    """Look at settings and database and say what is wrong, or will be before long, and what to do about it.

    Changes nothing. Ends with exit code 1 when there is something to do.
    """
    configure_logging("command", level="error")
    findings = asyncio.run(_collect(os.environ, show=not as_json))
    if as_json:
        print_json({"findings": findings})
    elif all(finding.state == "ok" for finding in findings):
        click.echo("\nall is well")
    else:
        wrong = sum(finding.state != "ok" for finding in findings)
        click.echo(f"\n{wrong} of {len(findings)} to look into")
    sys.exit(any(finding.state != "ok" for finding in findings))


async def _collect(environment: Mapping[str, str], *, show: bool) -> list[Finding]:
    findings: list[Finding] = []
    of_node: list[Finding] = []
    async for finding in look(environment, utc_now):
        findings.append(finding)
        if of_node and finding.node != of_node[0].node:
            of_node = _show_node(of_node, show=show)
        if finding.node:
            of_node.append(finding)
        elif show:
            _show(finding)
    _show_node(of_node, show=show)
    return findings


def _show_node(findings: list[Finding], *, show: bool) -> list[Finding]:
    """Show a node of a cluster on one line, and under it what is not ok; return the findings that are left: none."""
    if show and findings:
        first, *rest = findings
        if first.state == "ok":
            told = [finding.says for finding in rest if finding.check in TOLD_OF_NODES and finding.state == "ok"]
            first = msgspec.structs.replace(first, says="; ".join([first.says, *told]))
        _show(msgspec.structs.replace(first, says=f"{first.node}: {first.says}"))
        for finding in rest:
            if finding.state != "ok":
                _show(finding)
    return []


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:<8}", fg=STYLES[finding.state], bold=finding.state != "ok")
    click.echo(f"{state} {finding.check:<10} {clean(finding.says)}")
    if finding.do:
        click.echo(f"{'':<19} → {clean(finding.do)}")


async def look(environment: Mapping[str, str], clock: Clock) -> AsyncIterator[Finding]:
    """Yield what is found: the settings first, then the database that they name."""
    try:
        settings, statements = read_settings(environment), load_statements()
        cluster = create_cluster(settings, statements) if settings.clickhouse_cluster else None
        engine = None if cluster else create_engine(settings)
    except StartupError as error:
        yield Finding("settings", "error", str(error), "correct it; docs/operations.md lists the settings")
        return
    yield Finding("settings", "ok", "every PULSEHOUSE_ variable is a setting, within its bounds")
    yield _look_at_proxies(settings)
    if cluster:
        async for finding in _look_at_cluster(cluster, statements, clock):
            yield finding
    if engine:
        async for finding in _look_at_machine(engine, settings, statements, clock):
            yield finding


async def _look_at_cluster(
    cluster: Cluster, statements: Mapping[str, Statement], clock: Clock
) -> AsyncIterator[Finding]:
    try:
        async for finding in examine_cluster(cluster, statements, load_migrations(), clock, _explain):
            yield finding
    except StartupError as error:
        what, _, way_out = str(error).partition("; ")
        yield Finding("cluster", "error", what, way_out or "docs/cluster.md, To begin")
    finally:
        await cluster.close()


async def _look_at_machine(
    engine: Engine, settings: Settings, statements: Mapping[str, Statement], clock: Clock
) -> AsyncIterator[Finding]:
    try:
        if settings.clickhouse_url:
            async for finding in examine(engine, statements, load_migrations(), clock, None):
                yield finding
            return
        if missing := _look_for_folder(settings):
            yield missing
            return
        with own_folder(settings):
            await engine.create_database(statements["create_database"])
            async for finding in examine(engine, statements, load_migrations(), clock, backup_folder(settings)):
                yield finding
    except EngineError as error:
        yield Finding("clickhouse", "error", *_explain(error))
    except StartupError as error:
        what, _, way_out = str(error).partition("; ")
        in_use = "in use" in what
        if in_use:
            way_out = "stop the service to look into its database; until then see /ready, /metrics and the log"
        yield Finding("folder", "unknown" if in_use else "error", what, way_out)
    finally:
        await engine.close()


def _explain(error: EngineError) -> tuple[str, str]:
    what, way_out = what_and_way_out(error)
    return what, "pulsehouse migrate makes it" if error.code == UNKNOWN_DATABASE else way_out


def _look_for_folder(settings: Settings) -> Finding | None:
    folder = Path(settings.data_dir).expanduser()
    if folder.is_dir():
        return None
    way_out = "pulsehouse serve makes it; or is PULSEHOUSE_DATA_DIR not that of the service?"
    return Finding("folder", "error", f"there is no folder {folder}", way_out)


def _look_at_proxies(settings: Settings) -> Finding:
    try:
        trusted = trusted_proxies(settings)
    except StartupError as error:
        return Finding("proxies", "error", *str(error).rsplit("; ", 1))
    if trusted:
        return Finding("proxies", "ok", f"X-Forwarded-For is believed of {settings.trusted_proxies}")
    says = "none is trusted: right if no proxy is before the service, else all visitors have the proxy's address"
    return Finding("proxies", "ok", says)
