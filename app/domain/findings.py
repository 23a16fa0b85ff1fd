"""What an examination of an installation finds."""

from typing import Literal

import msgspec

State = Literal["ok", "warning", "error", "unknown"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    check  what was looked at, one word
    state  ok; warning: it works, and will not for ever or not for everybody; error: it does not work, or promises are
           broken; unknown: it could not be looked at
    says   what was seen
    do     what to do about it; empty where that is nothing
    node   the node of a cluster that it is about; not there on one machine, nor where it is about all
    """

    check: str
    state: State
    says: str
    do: str = ""
    node: str | msgspec.UnsetType = msgspec.UNSET
