"""What a process and its children use."""

from contextlib import suppress

import psutil


def usage(pid: int) -> tuple[int, float]:
    """Resident bytes now, and CPU seconds so far, of ended children too; zeros when it is gone."""
    resident_bytes, cpu_s = 0, 0.0
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.Error), process.oneshot():
                resident_bytes += process.memory_info().rss
                spent = process.cpu_times()
                cpu_s += spent.user + spent.system + spent.children_user + spent.children_system
    return resident_bytes, cpu_s
