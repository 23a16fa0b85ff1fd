"""Files of sites for `pulsehouse site import`: CSV with a header, or a JSON object on each line."""

import csv
import io
from typing import Any

import msgspec

from app.domain.errors import InvalidValue
from app.domain.sites import Site, make_site

COLUMNS = ("domains", "name", "id")


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domains: list[str]
    name: str | None = None
    id: str | None = None


def read_sites(text: str, tenant: str) -> tuple[list[Site], list[str]]:
    """The sites of a file, and what is wrong with it, each with the number of its line.

    CSV has the columns domains (separated by blanks), and if wanted name and id; a line that begins with `{` is JSON.
    """
    text = text.removeprefix("\ufeff")
    sites: list[Site] = []
    wrong: list[str] = []
    lines: dict[str, int] = {}
    for number, row in _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text):
        if isinstance(row, str):
            wrong.append(f"line {number}: {row}")
            continue
        try:
            site = make_site(tenant, row.domains, row.name or None, row.id or None)
        except InvalidValue as error:
            wrong.append(f"line {number}: {error}")
            continue
        first = lines.setdefault(site.id, number)
        if first != number:
            wrong.append(f"line {number}: id: {site.id} stands on line {first} too")
        sites.append(site)
    return sites, wrong


def _json_rows(text: str) -> Any:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            yield number, str(error).replace("`", "")


def _csv_rows(text: str) -> Any:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if "domains" not in columns or not set(columns) <= set(COLUMNS):
            yield 1, f"the first line must name the columns: domains, and if wanted {' and '.join(COLUMNS[1:])}"
            return
        for row in reader:
            if None in row or None in row.values():
                yield reader.line_num, f"expected {len(columns)} columns"
            else:
                yield reader.line_num, _Line(row["domains"].split(), row.get("name"), row.get("id"))
    except csv.Error as error:
        yield reader.reader.line_num, str(error)
