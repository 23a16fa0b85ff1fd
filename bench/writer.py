"""Sends signals at a steady rate through POST /api/track, in batches with a write key, until it is stopped."""

import argparse
import http.client
import json
import math
import random
import threading
import time
from urllib.parse import urlsplit

CONNECTIONS = 8
BATCH = 100
VISITORS = 10_000


def make_batch(sites: int) -> bytes:
    """A batch over log-uniform sites, as load.sql draws them; every fourth signal is a heartbeat."""
    events = []
    for _ in range(BATCH):
        site = int(math.exp(random.random() * math.log(sites + 1)))
        events.append(
            {
                "siteId": f"site_{site}",
                "type": random.choice(("pageview", "pageview", "pageview", "heartbeat")),
                "path": f"/page/{int(random.random() ** 3 * 300)}",
                "visitorId": f"v{random.randrange(max(1, VISITORS // site))}",
                "country": random.choice(("US", "DE", "GB", "FR")),
            }
        )
    return json.dumps({"batch": True, "events": events}).encode()


def write(url: str, sites: int, every_s: float, first_s: float) -> None:
    address = urlsplit(url)
    headers = {"Authorization": "Bearer ph_live_bench_write", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    due_s = first_s
    while True:
        body = make_batch(sites)
        time.sleep(max(0, due_s - time.monotonic()))
        connection.request("POST", "/api/track", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            print(answer.status, text.decode(), flush=True)
        due_s += every_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--sites", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=1_000, help="signals per second")
    args = parser.parse_args()
    every_s = BATCH * CONNECTIONS / args.rate
    now_s = time.monotonic()
    threads = [
        threading.Thread(
            target=write, args=(args.url, args.sites, every_s, now_s + every_s * number / CONNECTIONS), daemon=True
        )
        for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
