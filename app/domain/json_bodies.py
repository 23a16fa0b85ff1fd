"""JSON that a request brings: decoded into a shape, or refused in words that name the field."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from app.domain.errors import InvalidRequest

Shape = TypeVar("Shape")


def read_json(body: bytes, shape: type[Shape]) -> Shape:
    """The body as `shape`. Raises InvalidRequest naming the field that is not what it must be."""
    with naming_fields(InvalidRequest):
        body.decode()
        return msgspec.json.decode(body, type=shape)


@contextmanager
def naming_fields(refusal: type[InvalidRequest]) -> Iterator[None]:
    """Turn what decoding a body raises into a refusal that names the field."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise refusal(_name_field(error)) from None
    except UnicodeDecodeError:
        raise refusal("body: not UTF-8") from None
    except RecursionError:
        raise refusal("body: nested too deeply") from None
    except msgspec.DecodeError:
        raise refusal("body: not JSON") from None


def _name_field(error: msgspec.ValidationError) -> str:
    """Turn "Expected `str`, got `int` - at `$.events[3].path`" into "events[3].path: expected str, got int"."""
    what, _, where = str(error).partition(" - at ")
    what = what.replace("`", "")
    return f"{where.strip('`').removeprefix('$').removeprefix('.') or 'body'}: {what[:1].lower()}{what[1:]}"
