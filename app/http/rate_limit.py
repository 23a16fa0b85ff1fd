"""How much a caller may ask for in a minute, per worker: signals of an address, requests of a key.

Counted here and not by a library: what there is looks at all keys again and again, or keeps a thread (bench/NOTES.md),
and this is on the way of every request, with as many keys as an attacker has addresses.
"""

import ipaddress
import math
from time import monotonic, time

from app.domain.errors import TooManyRequests

WINDOW_S = 60.0


class _Window:
    """What a caller has spent in the minute that began with its first request, and when that minute ends."""

    __slots__ = ("ends_s", "spent")

    def __init__(self, ends_s: float) -> None:
        self.ends_s = ends_s
        self.spent = 0


class Allowance:
    """Counts what each caller spends in windows of a minute; 0 a minute is no limit."""

    def __init__(self, max_per_minute: int) -> None:
        self._max = max_per_minute
        self._windows: dict[str, _Window] = {}
        self._forget_s = 0.0  # when windows that have ended are forgotten next

    def require(self, caller: str, cost: int) -> None:
        """Raise TooManyRequests when that is more than what is left of a caller's allowance."""
        if self._max:
            self._require(self._window_of(caller), cost)

    def spend(self, caller: str, cost: int) -> None:
        """Raise TooManyRequests, and count nothing, when that is more than what is left of a caller's allowance."""
        if self._max:
            window = self._window_of(caller)
            self._require(window, cost)
            window.spent += cost

    def _window_of(self, caller: str) -> _Window:
        now_s = monotonic()
        window = self._windows.get(caller)
        if window is None or window.ends_s <= now_s:
            if self._forget_s <= now_s:
                self._windows = {name: other for name, other in self._windows.items() if other.ends_s > now_s}
                self._forget_s = now_s + WINDOW_S
            window = self._windows[caller] = _Window(now_s + WINDOW_S)
        return window

    def _require(self, window: _Window, cost: int) -> None:
        left = self._max - window.spent
        if cost > left:
            ends_in_s = window.ends_s - monotonic()
            raise TooManyRequests(self._max, left, time() + ends_in_s, max(1, math.ceil(ends_in_s)))


class RateLimit(Allowance):
    """The allowance of signals without a key."""

    def require_body(self, address: str, body_bytes: int) -> None:
        """Raise TooManyRequests when the KiB of a body alone are more than what is left, before it is looked into."""
        self.require(_client(address), -(-body_bytes // 1024))

    def spend_signals(self, address: str, signals: int, body_bytes: int = 0) -> None:
        """Count a request of a client: its signals, or the KiB of its body where they are more.

        Raises TooManyRequests, and counts nothing, when that is more than what is left of its allowance this minute.
        """
        self.spend(_client(address), max(signals, -(-body_bytes // 1024)))


def _client(address: str) -> str:
    """An IPv4 address, the /64 network that one IPv6 client has to itself, or whatever else a proxy forwarded."""
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
    except ValueError:
        return address
