"""The job that every peer does, its window of time, and its report.

The window opens when the first records are there, so that joining a group costs nobody
anything, and closes after ``seconds`` or when all ``records`` of the topic are read.
"""

import gc
import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec


class Pass(msgspec.Struct):
    school: str
    time_ms: int
    direction: str
    outcome: str


LOOK_AT_CLOCK_EVERY = 256
COLLECT_AFTER = 50_000
"""As in streams.runtime.collector, which peers in an environment of their own can't import: what it saves is
saved for all."""
DECODE = msgspec.json.Decoder(Pass).decode


def peak_memory_mb() -> float:
    """Largest resident set of this program. (On Linux ru_maxrss counts the parent before exec.)"""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Job:
    """Counts per (school, minute); reports and ends the process when its window closes."""

    def __init__(self) -> None:
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 20, 100)
        task = json.loads(os.environ["PEER_TASK"])
        self.topic: str = task["topic"]
        self.group: str = task["group"]
        self.kafka: dict[str, Any] = task["kafka"]
        self.seconds: float = task["seconds"]
        self.records: int = task["records"]
        self.counts: dict[tuple[str, int], int] = defaultdict(int)
        self.events = 0
        self.opened = 0.0
        self.cpu = 0.0

    @property
    def bootstrap(self) -> str:
        bootstrap: str = self.kafka["bootstrap_servers"]
        return bootstrap

    def do(self, values: Iterable[bytes]) -> None:
        """Decode and count a batch. Ends the process when the window closes."""
        self._open()
        counts = self.counts
        done = 0
        for value in values:
            event = DECODE(value)
            counts[event.school, event.time_ms // 60_000] += 1
            done += 1
        self.events += done
        self._close_when_over()

    def count(self, school: str, time_ms: int) -> None:
        """Count one event that a peer has decoded itself."""
        self._open()
        self.counts[school, time_ms // 60_000] += 1
        self.events += 1
        if self.events % LOOK_AT_CLOCK_EVERY == 0 or self.events >= self.records:
            self._close_when_over()

    def _open(self) -> None:
        if not self.opened:
            self.opened = time.perf_counter()
            self.cpu = time.process_time()

    def _close_when_over(self) -> None:
        if self.events >= self.records or time.perf_counter() - self.opened >= self.seconds:
            self.report()

    def report(self) -> None:
        took = time.perf_counter() - self.opened
        line = {
            "events": self.events,
            "counted": sum(self.counts.values()),
            "seconds": took,
            "cpu_s": time.process_time() - self.cpu,
            "memory_mb": peak_memory_mb(),
        }
        stdout = sys.__stdout__ or sys.stdout
        stdout.write(json.dumps(line) + "\n")
        stdout.flush()
        os._exit(0)  # some peers take seconds to leave their group; that is not what is measured
