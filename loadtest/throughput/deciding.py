"""What liveness costs, decisions only: `… loadtest.throughput.deciding SCHOOLS DEVICES PARTITIONS SEED`.

In a process of its own, so that its memory is its own: registers every device, lets each send its
heartbeats at its period, and prints one JSON object. The first period, in which everyone is said
to be online, is not counted.
"""

import gc
import json
import sys
import time
from typing import Any, Final

import numpy as np
import psutil

from loadtest.throughput.passes import partition_of, school_id
from schemas.private import keep_private
from schemas.settings import LivenessSettings, configured_var
from streams.liveness.decide import Liveness

PERIOD_S: Final = 60
PERIODS: Final = 5
LEAST: Final = 500_000
AS_SHIPPED: Final = LivenessSettings()
FIRST_MS: Final = 1_790_000_000_000


def decide(schools: int, devices: int, partitions: int, seed: int) -> dict[str, Any]:
    """CPU per heartbeat and memory, with ``devices`` per school, none of them silent."""
    before = psutil.Process().memory_info().rss
    names = [f"turnstile-{n + 1}" for n in range(devices)]
    lanes = [Liveness(AS_SHIPPED.misses, int(AS_SHIPPED.grace_s * 1000)) for _ in range(partitions)]
    ids = [school_id(number) for number in range(schools)]
    of = [lanes[partition_of(school.encode(), partitions)] for school in ids]
    for lane in lanes:
        lane.advance(FIRST_MS)
    for lane, school in zip(of, ids, strict=True):
        lane.register(school, [(name, "turnstile", PERIOD_S) for name in names])
    total = schools * devices
    beats = max(LEAST, PERIODS * total)
    order = np.random.default_rng(seed).permutation(total).tolist()
    said = 0
    began_s = 0.0
    for number in range(total + beats):
        if number == total:  # everyone is online: what follows is a usual day
            gc.freeze()
            began_s = time.process_time()
        school, device = divmod(order[number % total], devices)
        now_ms = FIRST_MS + number * PERIOD_S * 1000 // total
        said += len(
            list(of[school].hear(ids[school], names[device], "turnstile", PERIOD_S, now_ms, now_ms))
        )
    used_s = time.process_time() - began_s
    return {
        "heartbeats": beats,
        "said": said,
        "cpu_us_per_event": round(used_s / beats * 1e6, 2),
        "memory_mb": round((psutil.Process().memory_info().rss - before) / 1e6, 1),
    }


if __name__ == "__main__":
    keep_private(configured_var())
    sys.stdout.write(json.dumps(decide(*map(int, sys.argv[1:5]))) + "\n")
