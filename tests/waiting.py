"""Waiting for a state rather than for a time."""

import asyncio
from collections.abc import Callable

GIVE_UP_S = 30


async def until(holds: Callable[[], bool]) -> None:
    """Return when it holds; a state that never comes fails the test."""
    async with asyncio.timeout(GIVE_UP_S):
        while not holds():
            await asyncio.sleep(0.002)
