"""SIGKILL while signals are in flight: what was acknowledged is there after the next start, exactly once."""

import json
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import httpx

from tests.conftest import BROWSER
from tests.model import contradictions
from tests.service import Service, run

ROUNDS = 2
SENDERS = 6
# A pageBreakdown names 100 pages, and each signal has a page of its own.
MAX_SIGNALS = 90
KILL_AFTER = 40

# This process may have another folder open, and the embedded engine takes one per process.
COUNT_PAGES = """
import json, sys, clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1], database="pulsehouse")
print(json.dumps(client.query("SELECT page, count() FROM signals GROUP BY page").result_rows))
"""


class Crowd:
    """Senders of one round: visitors who each look at a page of their own, on a site of the round's own."""

    def __init__(self, service: Service, site_id: str) -> None:
        self.site_id = site_id
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.enough = threading.Event()
        self._url = f"{service.url}/api/track"
        self._numbers = count()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with httpx.Client(timeout=10) as client:
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
                if len(self.acknowledged) >= KILL_AFTER:
                    self.enough.set()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


def test_what_was_acknowledged_before_sigkill_is_there_once_after_the_next_start(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    sites = [f"site_{number}" for number in range(ROUNDS)]
    for site_id in sites:
        run("site", "add", "--tenant", "acme", "--domain", "example.com", "--id", site_id, data_dir=data_dir)
    key = run("key", "create", "--tenant", "acme", "--scope", "read", "--json", data_dir=data_dir)
    token = json.loads(key.stdout)["token"]

    crowds = []
    for site_id in sites:
        with Service(data_dir=data_dir) as service:
            crowd = Crowd(service, site_id)
            assert crowd.enough.wait(30)
            service.process.kill()
            crowd.wait()
            crowds.append(crowd)
    assert any(crowd.sent - crowd.acknowledged for crowd in crowds), "nothing was in flight"

    with Service(data_dir=data_dir) as service:
        answers = [service.poll(token, crowd.site_id).json() for crowd in crowds]
        assert service.stop()[0] == 0
    read = subprocess.run([sys.executable, "-c", COUNT_PAGES, data_dir], capture_output=True, text=True, check=True)
    stored = dict(json.loads(read.stdout))
    for crowd, answer in zip(crowds, answers, strict=True):
        assert contradictions(answer) == []
        for pages in (answer["pageBreakdown"], {page: n for page, n in stored.items() if page in crowd.sent}):
            assert crowd.acknowledged <= pages.keys() <= crowd.sent
            assert set(pages.values()) == {1}
    assert stored.keys() <= set().union(*(crowd.sent for crowd in crowds))
