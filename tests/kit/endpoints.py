"""What a service serves, from its handlers."""

import re
from collections.abc import Iterable

from litestar.handlers import HTTPRouteHandler


def operations_of(handlers: Iterable[HTTPRouteHandler]) -> set[str]:
    """Every method and path, such as `GET /api/sites/{id}`."""
    typed = re.compile(r"{(\w+):\w+}")  # as Litestar writes a parameter
    return {
        f"{method} {path}"
        for handler in handlers
        for path in (typed.sub(r"{\1}", path) for path in handler.paths)
        for method in handler.http_methods
    }
