"""Start one process of ours: a session of its own, an end with ours, and its place at the CPU."""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

_TRIES: Final = 50
_AGAIN_AFTER_S: Final = 0.1


async def spawn(
    argv: Sequence[str], env: Mapping[str, str], log: IO[Any], nice: int = 0
) -> Process:
    """``env`` is added to ours; all output goes to ``log``. ``nice`` is absolute, and no way to a
    better place than we have ourselves; ``lower_session`` makes it count.
    """
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, **env},
        start_new_session=True,  # Ctrl-C is ours to pass on, in order
        preexec_fn=partial(_become, nice),
    )


async def lower_session(pid: int, nice: int) -> None:
    """The nice value for a whole session: with autogroups (Linux, sched(7)) that of a process counts
    only inside of its session. No matter where there are none, or the process is gone already.
    """
    for _ in range(_TRIES if nice else 0):
        if _took_nice(Path(f"/proc/{pid}/autogroup"), nice):
            return
        await asyncio.sleep(_AGAIN_AFTER_S)


def _took_nice(autogroup: Path, nice: int) -> bool:
    """False: not now. The kernel takes ten of these a second from all of a machine."""
    try:
        autogroup.write_text(str(nice))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _become(nice: int) -> None:
    """In the child before it is another program, so that all its threads inherit this."""
    if sys.platform == "linux":
        # SIGTERM when we die, however we die (prctl(2), PR_SET_PDEATHSIG).
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
