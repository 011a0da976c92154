"""Who was silent, by the times at which Kafka had the heartbeats."""

import math
from collections.abc import Iterable
from itertools import pairwise


def was_silent(
    heard_ms: Iterable[float], deadline_ms: float, decided_ms: float, since_ms: float = 0.0
) -> bool:
    """Whether between two heartbeats, or after the last, the deadline was over when it was decided.

    On a busy machine the sender of a test is late for its own heartbeats: who is called silent then is
    accused rightly. A silence that ended before ``since_ms`` does not count.
    """
    return any(
        next_ms > since_ms and last_ms + deadline_ms <= min(decided_ms, next_ms)
        for last_ms, next_ms in pairwise([*sorted(heard_ms), math.inf])
    )
