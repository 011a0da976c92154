"""How much one device may send, so that a mad one can't hurt the others. Pure, clock injected."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    tokens: float
    at_s: float


@dataclass(slots=True)
class Limit:
    """Token buckets: ``per_s`` for long, ``burst`` at once. The ``most`` last seen are remembered."""

    per_s: float
    burst: float
    most: int = 200_000
    _buckets: OrderedDict[Hashable, Bucket] = field(default_factory=OrderedDict)

    def wait_s(self, who: Hashable, cost: float, now_s: float) -> float:
        """Take ``cost`` and return 0, or leave it and return after how long it may be had.

        What costs more than the burst is had by a full bucket, which then owes the rest.
        """
        bucket = self._buckets.pop(who, None) or Bucket(self.burst, now_s)
        self._buckets[who] = bucket
        if len(self._buckets) > self.most:
            self._buckets.popitem(last=False)
        earned = max(now_s - bucket.at_s, 0.0) * self.per_s
        bucket.tokens = min(bucket.tokens + earned, self.burst)
        bucket.at_s = now_s
        needed = min(cost, self.burst)
        if bucket.tokens < needed:
            return (needed - bucket.tokens) / self.per_s
        bucket.tokens -= cost
        return 0.0


@dataclass(slots=True)
class Recent:
    """What was lately taken, so that a repeat is known. The ``most`` last ones are remembered."""

    most: int
    _seen: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)

    def __contains__(self, what: Hashable) -> bool:
        return what in self._seen

    def discard(self, what: Hashable) -> None:
        self._seen.pop(what, None)

    def add(self, what: Hashable) -> None:
        self._seen.pop(what, None)
        self._seen[what] = None
        if len(self._seen) > self.most:
            self._seen.popitem(last=False)
