"""What a worker holds of one partition of heartbeats that it owns."""

from streams.liveness.decide import Liveness
from streams.liveness.feed import Feed
from streams.liveness.guard import Evidence
from streams.liveness.places import Places


class Partition:
    """``now_s``: monotonic. ``grown``: there were fewer or more partitions under its last owner."""

    def __init__(
        self, liveness: Liveness, places: Places, speak_from: int, now_s: float, grown: bool
    ) -> None:
        self.liveness = liveness
        self.feed = Feed(liveness, speak_from, places)
        self.evidence = Evidence(now_s, now_s)
        self.ready = False
        """Whether it has come to what no former owner has judged."""
        self.waited = False
        """Whether nothing was judged, since our own evidence was impaired during a mass fall."""
        self.grown = liveness.held = grown
        """Nobody's silence counts from before this worker is ready: schools may have moved."""
        self.generation = -1
        self.said_to = 0
        """What follows from the records before is acknowledged."""
        self.committed_to = 0
        self.committed_s = 0.0

    def trouble(self, now_s: float) -> str:
        """What is wrong with our own evidence, empty for nothing."""
        liveness, feed = self.liveness, self.feed
        return self.evidence.trouble(
            *(now_s, liveness.gap_ms, feed.canary_ms, feed.canary_period_ms, liveness.grace_ms)
        )
