"""How many requests a client may send to /api/track in a minute, per worker."""

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.domain.errors import TooManyRequests


class Allowance:
    """Counts the requests of each client in windows of a minute (library limits, in memory)."""

    def __init__(self, max_requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(max_requests_per_minute) if max_requests_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def spend(self, address: str) -> None:
        """Count one request of a client. Raises TooManyRequests when its allowance for this minute is used up."""
        if self._item is None or self._limiter.hit(self._item, _client(address)):
            return
        reset_at_s = self._limiter.get_window_stats(self._item, _client(address)).reset_time
        raise TooManyRequests(self._item.amount, reset_at_s, max(1, math.ceil(reset_at_s - time.time())))


def _client(address: str) -> str:
    """An IPv4 address, the /64 network that one IPv6 client has to itself, or whatever else a proxy forwarded."""
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
    except ValueError:
        return address
