"""Which sequences of which device were stored already. Pure.

Kept as ranges per boot, like TCP's selective acknowledgements (RFC 2018): a device that loses nothing
has one range, however long it runs; one that buffers has a gap until the buffer is replayed.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

Device = tuple[str, str]
"""(school, device)"""

MAX_RANGES: Final = 2_000_000
"""Per partition. Beyond it the memory begins anew further on (about 200 bytes a range)."""


class Seen:
    """Of one partition. ``since_ms`` is Kafka's time from which on it remembers."""

    __slots__ = ("_devices", "ranges", "since_ms")

    def __init__(
        self, since_ms: int, stored: Iterable[tuple[str, str, int, int, int]] = ()
    ) -> None:
        """``stored``: (school, device, boot, first, last), ranges already in the raw table."""
        self.since_ms = since_ms
        self.ranges = 0
        self._devices: dict[tuple[str, str, int], list[int]] = {}
        for school, device, boot, first, last in stored:
            self._devices.setdefault((school, device, boot), []).extend((first, last))
            self.ranges += 1
        for bounds in self._devices.values():
            if len(bounds) > 2:
                pairs = sorted(zip(bounds[::2], bounds[1::2], strict=True))
                bounds[:] = [bound for pair in pairs for bound in pair]

    def first_time(self, school: str, device: str, boot: int, seq: int) -> bool:
        """Whether it is new; from now on it isn't.

        ``bounds`` is flat: first, last, first, last, … in order, both inclusive.
        """
        key = (school, device, boot)
        bounds = self._devices.get(key)
        if bounds is None:
            self._devices[key] = [seq, seq]
            self.ranges += 1
            return True
        last = bounds[-1]
        if seq == last + 1:
            bounds[-1] = seq
            return True
        if seq > last:
            bounds += (seq, seq)
            self.ranges += 1
            return True
        return self._fill(bounds, seq)

    def _fill(self, bounds: list[int], seq: int) -> bool:
        at = bisect_right(bounds, seq)
        if at % 2 == 1 or (at > 0 and bounds[at - 1] == seq):
            return False
        joins_left = at > 0 and bounds[at - 1] == seq - 1
        joins_right = at < len(bounds) and bounds[at] == seq + 1
        if joins_left and joins_right:
            del bounds[at - 1 : at + 1]
            self.ranges -= 1
        elif joins_left:
            bounds[at - 1] = seq
        elif joins_right:
            bounds[at] = seq
        else:
            bounds[at:at] = [seq, seq]
            self.ranges += 1
        return True
