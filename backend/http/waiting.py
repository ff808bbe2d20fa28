"""Long polls: asks again until there is something, the time is over or the process leaves.

The waiting is asyncio's; only each short question takes a thread of the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from backend.ports import Ports

T = TypeVar("T")
PAUSE_SECONDS = 0.2


async def wait_for(ports: Ports, ask: Callable[[], T | None], wait_seconds: float) -> T | None:
    """The first answer of `ask` that is not None, or None after `wait_seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        answer = await run_in_threadpool(ask)
        if answer is not None or loop.time() >= deadline or ports.stopping.is_set():
            return answer
        await asyncio.sleep(min(PAUSE_SECONDS, max(0.0, deadline - loop.time())))
