"""A worker whose wall clock is stepped while it runs: `python -m loadtest.offline.stepped_clock liveness`.

SIGWINCH sets it ten minutes on, SIGURG ten minutes back, as NTP or a person would; the machine's clock and
the monotonic one stay as they are. (Faust has a use of its own for SIGUSR1 and 2.)
"""

import runpy
import signal
import time
from typing import Final

from schemas.private import keep_private
from schemas.settings import configured_var

STEP_S: Final = 600


def main() -> None:
    its_time, its_time_ns = time.time, time.time_ns
    off_s = 0

    def step(number: int, _: object) -> None:
        nonlocal off_s
        off_s += STEP_S if number == signal.SIGWINCH else -STEP_S

    time.time = lambda: its_time() + off_s
    time.time_ns = lambda: its_time_ns() + off_s * 10**9
    for number in (signal.SIGWINCH, signal.SIGURG):
        signal.signal(number, step)
    runpy.run_module("streams", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
