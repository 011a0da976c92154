"""An event loop whose time goes on only when nothing is left to do, and then at once to what is due next."""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from structlog.testing import capture_logs

P = ParamSpec("P")
BEGIN_S = 1_000.0
"""Not 0, which stands for "never" in places."""


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for nobody."""

    loop: "MovedLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("nobody waits for a time, and nothing else can happen")
        self.loop.now_s += timeout
        return ready


class MovedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = BEGIN_S
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def in_moved_time(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A test that sleeps as long as it likes: ``asyncio.sleep`` moves the clock."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def whole() -> None:
            await test(*args, **kwargs)

        # A broker that is away for an hour would fill the report.
        with capture_logs(), asyncio.Runner(loop_factory=MovedLoop) as runner:
            runner.run(whole())

    return run


async def until(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    """Wait for a condition, in moved time. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)
