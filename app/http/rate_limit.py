"""How many signals a client may send to /api/track in a minute, per worker."""

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.domain.errors import TooManyRequests


class RateLimit:
    """Counts the signals of each client in windows of a minute (library limits, in memory)."""

    def __init__(self, max_signals_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(max_signals_per_minute) if max_signals_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def require(self, address: str, cost: int) -> None:
        """Raise TooManyRequests when so many signals, or KiB of a body, are more than what is left for this minute."""
        if self._item is None:
            return
        client = _client(address)
        if not self._limiter.test(self._item, client, cost=cost):
            window = self._limiter.get_window_stats(self._item, client)
            retry_after_s = max(1, math.ceil(window.reset_time - time.time()))
            raise TooManyRequests(self._item.amount, window.remaining, window.reset_time, retry_after_s)

    def spend(self, address: str, cost: int) -> None:
        """Count them. Raises TooManyRequests, and counts nothing, when they are more than what is left."""
        self.require(address, cost)
        if self._item is not None:
            self._limiter.hit(self._item, _client(address), cost=cost)


def _client(address: str) -> str:
    """An IPv4 address, the /64 network that one IPv6 client has to itself, or whatever else a proxy forwarded."""
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
    except ValueError:
        return address
