"""What a service's process shares with the others: it runs until SIGTERM or Ctrl-C."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


async def until_stopped(service: Coroutine[Any, Any, None]) -> None:
    """Run it; a signal cancels it, and it ends in its own order."""
    running = asyncio.create_task(service)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
