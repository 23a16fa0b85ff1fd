"""Waiting for a state rather than for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

GIVE_UP_S = 120
"""A state that does not come within this fails the test. It says nothing about how long things take."""
LOOK_EVERY_S = 0.01


async def until(holds: Callable[[], Awaitable[object] | object]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            held = holds()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(LOOK_EVERY_S)


def wait_until(holds: Callable[[], object]) -> None:
    """The same without an event loop."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while not holds():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"not so within {GIVE_UP_S} s")
        time.sleep(LOOK_EVERY_S)
