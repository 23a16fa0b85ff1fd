"""Clients whose requests are whole and allowed, and cost the service all they can: work, memory, or a large answer."""

import asyncio
import itertools
import json
import time
from contextlib import suppress
from typing import Any

import httpx

from faults.traffic import MARK_ENDS, TIMEOUT_S, Sent
from tests.kit.model import contradictions
from tests.kit.user_agents import BROWSER

AGENTS_CONNECTIONS = 4
TINY_CONNECTIONS = 2
TINY_EVENTS = 349_000
USER_AGENT_CHARACTERS = 900
BATCH_SIGNALS = 1_000

LONG_PATH_CHARACTERS = 2_040
LONG_SIGNALS = 120
PAUSE_S = 0.05
PATIENCE_S = 60
"""How long a sender of large bodies waits for its answer: until ClickHouse goes on, and what is queued is committed."""


async def send_costly(url: str, site_id: str, token: str, trial: str, seconds: float) -> list[Sent]:
    """Send batches with a User-Agent of its own in each signal, and without a token bodies of tiny events."""
    found: list[Sent] = []
    numbers = itertools.count()
    end_s = time.monotonic() + seconds
    async with _client(url) as client:

        async def send_agents() -> None:
            while time.monotonic() < end_s:
                first = next(numbers) * BATCH_SIGNALS
                sent = Sent(trial, site_id, [f"/{trial}/{first + i}" for i in range(BATCH_SIGNALS)])
                found.append(sent)
                events = [{"path": mark, "userAgent": _user_agent(first + i)} for i, mark in enumerate(sent.marks)]
                body = {"siteId": site_id, "batch": True, "events": events}
                await _post(client, body, sent, {"Authorization": f"Bearer {token}"})

        async def send_tiny() -> None:
            body = b'{"siteId":"%b","events":[%b]}' % (site_id.encode(), b",".join([b"{}"] * TINY_EVENTS))
            while time.monotonic() < end_s:
                with suppress(httpx.TransportError):
                    await client.post("/api/track", content=body)

        people = [send_agents() for _ in range(AGENTS_CONNECTIONS)] + [send_tiny() for _ in range(TINY_CONNECTIONS)]
        await asyncio.gather(*people)
    return found


def _user_agent(number: int) -> str:
    """A browser's, long and like no other, so that nothing of it is remembered."""
    return f"Mozilla/5.0 ({number}) ".ljust(USER_AGENT_CHARACTERS, "x")


async def send_large(url: str, site_id: str, trial: str, requests: int) -> list[Sent]:
    """Send so many bodies of 1 MiB at once, and wait for their answers. Their signals have long paths."""
    filler = MARK_ENDS + "\U0001f642" * LONG_PATH_CHARACTERS
    found: list[Sent] = []
    async with _client(url, timeout_s=PATIENCE_S) as client:

        async def send(number: int) -> None:
            sent = Sent(trial, site_id, [f"/{trial}/{number}/{i}" for i in range(LONG_SIGNALS)])
            found.append(sent)
            events = [{"path": (mark + filler)[:LONG_PATH_CHARACTERS]} for mark in sent.marks]
            await _post(client, {"siteId": site_id, "batch": True, "events": events}, sent, {})

        await asyncio.gather(*[send(number) for number in range(requests)])
    return found


async def poll_large(
    url: str, site_id: str, token: str, pollers: int, visitors: int, seconds: float
) -> tuple[int, list[str]]:
    """Poll a site of so many visitors; return the number of answers, and what was wrong about them."""
    answers, wrong = 0, []
    end_s = time.monotonic() + seconds
    async with _client(url) as client:

        async def poll() -> None:
            nonlocal answers
            while time.monotonic() < end_s:
                with suppress(httpx.TransportError):
                    response = await client.get(
                        "/api/realtime", params={"siteId": site_id}, headers={"Authorization": f"Bearer {token}"}
                    )
                    if response.status_code == 200:
                        answers += 1
                        answer: dict[str, Any] = response.json()
                        wrong.extend(contradictions(answer))
                        if answer["activeVisitors"] != visitors:
                            wrong.append(f"{answer['activeVisitors']} active visitors, not {visitors}")
                        continue
                    if response.status_code != 503:
                        wrong.append(f"{response.status_code} {response.text[:100]}")
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*[poll() for _ in range(pollers)])
    return answers, wrong


def _client(url: str, timeout_s: float = TIMEOUT_S) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=timeout_s, limits=limits, headers={"User-Agent": BROWSER})


async def _post(client: httpx.AsyncClient, body: dict[str, Any], sent: Sent, headers: dict[str, str]) -> None:
    content = json.dumps(body, ensure_ascii=False).encode()
    with suppress(httpx.TransportError):
        sent.answered((await client.post("/api/track", content=content, headers=headers)).status_code)
