"""What the changes of sites and keys have in common: who may, by which rules, and the line in the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Response

from app.domain.errors import AccessDenied, InvalidRequest, InvalidValue
from app.http.answers import EVERY_ANSWER, Answer
from app.http.caller import Caller

log = logging.getLogger(__name__)

HEADERS = "Authorization, Content-Type"
"""Of requests that change something."""

FIELDS = {"domain": "domains", "expires-days": "expiresInDays", "site": "siteId"}
"""What the rules call a field, and what the body does, where the two differ."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def json_body(schema: Any) -> dict[str, Any]:
    """The description of a body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


@contextmanager
def by_the_rules(where: str = "") -> Iterator[None]:
    """Refuse a value that breaks a rule, by the name of its field in the body."""
    try:
        yield
    except InvalidValue as error:
        raise InvalidRequest(f"{where}{FIELDS.get(error.field, error.field)}: {error.problem}") from None


def require_admin_of_tenant(caller: Caller) -> None:
    """Raise AccessDenied unless the key is an admin's of the whole tenant: one bound to a site reaches no further."""
    caller.key.require_scope("admin")
    if caller.key.site_id:
        raise AccessDenied


def note(caller: Caller, call: str, *objects: str) -> None:
    """Log a change: who, what, of which objects."""
    log.info("%s: %s %s", caller.key.id, call, ", ".join(objects))


def whole_seconds(instant: datetime) -> datetime:
    """The contract's times have whole seconds."""
    return instant.replace(microsecond=0)


def answer_nothing() -> Response[None]:
    return Answer(b"", None, EVERY_ANSWER, status=HTTPStatus.NO_CONTENT)
