"""How much a caller may ask for in a minute, per worker: signals of an address, requests of a key."""

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.domain.errors import TooManyRequests


class Allowance:
    """Counts what each caller spends in windows of a minute (library limits, in memory)."""

    def __init__(self, max_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(max_per_minute) if max_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def require(self, caller: str, cost: int) -> None:
        """Raise TooManyRequests when that is more than what is left of a caller's allowance."""
        if self._item is None or self._limiter.test(self._item, caller, cost=cost):
            return
        window = self._limiter.get_window_stats(self._item, caller)
        retry_after_s = max(1, math.ceil(window.reset_time - time.time()))
        raise TooManyRequests(self._item.amount, window.remaining, window.reset_time, retry_after_s)

    def spend(self, caller: str, cost: int) -> None:
        """Raise TooManyRequests, and count nothing, when that is more than what is left of a caller's allowance."""
        self.require(caller, cost)
        if self._item is not None:
            self._limiter.hit(self._item, caller, cost=cost)


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
