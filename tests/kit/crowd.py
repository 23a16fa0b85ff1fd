"""Visitors who each look at a page of their own, all at once."""

import threading
from itertools import count

import httpx

from tests.kit.service import ANSWER_WITHIN_S, Service
from tests.kit.user_agents import BROWSER

SENDERS = 6
# A pageBreakdown names 100 pages, and each signal has a page of its own.
MAX_SIGNALS = 90
ENOUGH = 40


class Crowd:
    """They begin at once, and end with the service or when there is no more to send."""

    def __init__(self, service: Service, site_id: str) -> None:
        self.site_id = site_id
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.enough = threading.Event()
        """Set when ENOUGH signals are acknowledged, while others are in flight."""
        self._url = f"{service.url}/api/track"
        self._numbers = count()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with httpx.Client(timeout=ANSWER_WITHIN_S) as client:
            while (number := next(self._numbers)) < MAX_SIGNALS:
                page = f"/{self.site_id}/{number}"
                self.sent.add(page)
                try:
                    response = client.post(
                        self._url,
                        json={"siteId": self.site_id, "path": page},
                        headers={"User-Agent": f"{BROWSER} {number}"},
                    )
                except httpx.TransportError:
                    return
                if response.status_code == 200:
                    self.acknowledged.add(page)
                if len(self.acknowledged) >= ENOUGH:
                    self.enough.set()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()
