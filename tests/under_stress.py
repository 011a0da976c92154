"""Run tests again and again while their processes lose the processor now and then.

    python -m tests.under_stress 20 -m browser tests/dashboards

Everything but the number of runs and `--busy` is for pytest. Beside each run busy loops take their share (one
per core, or `--busy` of them: a machine that is full already needs none), and every so often one of the
processes below pytest (broker, engine, worker, browser) stands still for up to a second, as on a machine
that swaps or has too many guests. It never stops pytest itself: a test's own deadlines hold. Stops are
drawn from a printed seed. The exit code is the number of runs that failed.
"""

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

STOP_EVERY_S = (0.3, 2.0)
STOPPED_S = (0.05, 1.0)


def burn() -> None:
    while os.getppid() != 1:
        sum(range(100_000))


def stop_one(below: psutil.Process, rng: random.Random) -> None:
    with suppress(psutil.Error, IndexError):
        process = rng.choice(below.children(recursive=True))
        if process.status() == psutil.STATUS_STOPPED:
            return  # a test froze it, and thaws it
        process.suspend()
        try:
            while process.status() != psutil.STATUS_STOPPED:
                time.sleep(0.001)  # until then our own signal waits among its signals
            time.sleep(rng.uniform(*STOPPED_S))
        finally:
            if not frozen_meanwhile(process.pid):
                process.resume()


def frozen_meanwhile(pid: int) -> bool:
    """Whether a test has stopped it, too, while it stood still: that waits among its signals (proc(5))."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("ShdPnd:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGSTOP - 1) & 1)
    return False


def once(arguments: list[str], rng: random.Random, said: Path) -> int:
    """One run; its exit code. What it says goes to the file."""
    with said.open("w") as out:
        command = [sys.executable, "-m", "pytest", "-q", "--timeout=900", *arguments]
        running = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            while running.poll() is None:
                time.sleep(rng.uniform(*STOP_EVERY_S))
                with suppress(psutil.Error):
                    stop_one(psutil.Process(running.pid), rng)
        finally:
            running.terminate()
    return running.wait()


def main(times: int, busy_loops: int, arguments: list[str]) -> int:
    seed = int(os.environ.get("SAQSHY_TEST_SEED") or time.time_ns() % 1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="under-stress-"))
    print(f"SAQSHY_TEST_SEED={seed}, output in {folder}", flush=True)
    rng = random.Random(seed)
    busy = [multiprocessing.Process(target=burn, daemon=True) for _ in range(busy_loops)]
    for one in busy:
        one.start()
    failed = 0
    for number in range(times):
        began_s = time.monotonic()
        said = folder / f"{number}.txt"
        code = once(arguments, rng, said)
        failed += code != 0
        took_s = time.monotonic() - began_s
        print(f"run {number}: {'FAILED' if code else 'ok'} {took_s:.0f} s", flush=True)
        if code:
            failures = [line for line in said.read_text().splitlines() if line.startswith("FAILED")]
            print("\n".join(failures), flush=True)
    for one in busy:
        one.terminate()
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.under_stress")
    parser.add_argument("times", type=int)
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1)
    wanted, for_pytest = parser.parse_known_args()
    sys.exit(main(wanted.times, wanted.busy, for_pytest))
