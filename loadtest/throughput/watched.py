"""A consumer's process under measurement: its CPU and memory seen from outside, its rows by asking.

So a worker that can't report for itself is measured as any other.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

STOP_S: Final = 20.0
ASK_EVERY_S: Final = 0.1


class MeasuredProcess:
    """A process; as a context manager it is stopped at the end, by force if need be."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, *argv], env={**os.environ, **env}, stdout=file, stderr=file
            )
        self._seen = psutil.Process(self._process.pid)
        self.began_s = time.perf_counter()
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
                return
            self._process.kill()
            self._process.wait()

    def look(self) -> float:
        """CPU seconds so far; notes the memory. Raises RuntimeError when it has ended."""
        code = self._process.poll()
        if code is not None:
            last = self._log.read_text(errors="replace")[-800:]
            raise RuntimeError(f"the consumer ended with {code}: {last}")
        with self._seen.oneshot():
            times, memory = self._seen.cpu_times(), self._seen.memory_info()
        self.peak_bytes = max(self.peak_bytes, memory.rss)
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Sample:
    """At ``at_s`` (perf_counter) ``rows`` were visible and ``cpu_s`` were used."""

    at_s: float
    rows: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """From the first visible rows to the last; ``whole_cpu_us`` has start-up and first block too."""

    rows: int
    seconds: float
    events_per_s: float
    cpu_us: float
    whole_cpu_us: float
    first_rows_s: float
    memory_mb: float


def watch(
    worker: MeasuredProcess,
    rows: Callable[[], int],
    wanted: int,
    seconds: float,
    start_s: float = 60.0,
) -> list[Sample]:
    """Sample until all wanted rows are visible or ``seconds`` after the first.

    Raises RuntimeError when the process ends, or shows no row within ``start_s``.
    """
    samples: list[Sample] = []
    while True:
        cpu_s = worker.look()
        seen = rows()
        now_s = time.perf_counter()
        if seen:
            samples.append(Sample(now_s, seen, cpu_s))
            if seen >= wanted or now_s - samples[0].at_s >= seconds:
                return samples
        elif now_s - worker.began_s > start_s:
            raise RuntimeError(f"no row after {start_s:.0f} s")
        time.sleep(ASK_EVERY_S)


def cost(samples: Sequence[Sample], began_s: float, peak_bytes: int) -> Cost:
    """What a window cost; a first sample that has everything leaves nothing to divide by.

    Raises ValueError then: the window was too short.
    """
    first, last = samples[0], samples[-1]
    rows = last.rows - first.rows
    if rows <= 0:
        raise ValueError(f"all {last.rows} rows were there at first sight: preload more")
    return Cost(
        rows=last.rows,
        seconds=last.at_s - first.at_s,
        events_per_s=rows / (last.at_s - first.at_s),
        cpu_us=(last.cpu_s - first.cpu_s) / rows * 1e6,
        whole_cpu_us=last.cpu_s / last.rows * 1e6,
        first_rows_s=first.at_s - began_s,
        memory_mb=peak_bytes / 1e6,
    )
