"""Which DC-09 frames are one message said again. State with the clock given; no I/O.

Who got no ACK sends again: with the same sequence number, as the standard has it, or with the next one,
as some panels do; under the first timestamp or under a new one. So a message is known by its sender and
by what it says, and by its number unless it was turned away.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from streams.gateway.read import Record
from streams.panic.decide import ALARM_LASTS_MS

AGAIN_WITHIN_MS: Final = 3 * 60_000
"""From one attempt to the next."""
REMEMBERED: Final = 20_000


@dataclass(slots=True)
class Message:
    """``record``: of the latest attempt until the taking ``begun``. ``taken``: somebody else answers for
    it now. ``turned_away``: the latest answer was a NAK, or none.
    """

    record: Record
    first_ms: int
    last_ms: int
    begun: bool = False
    taken: bool = False
    turned_away: bool = False
    attempts: int = 1


@dataclass(slots=True)
class Attempts:
    most: int = REMEMBERED
    _messages: OrderedDict[tuple[Hashable, int | None], Message] = field(
        default_factory=OrderedDict
    )
    _last: dict[Hashable, int | None] = field(default_factory=dict)

    def message(self, what: Hashable, seq: int | None, record: Record, now_ms: int) -> Message:
        """The message that this is an attempt of. ``what``: sender and content, without its time."""
        known = self._known(what, seq, now_ms)
        if known is None:
            known = Message(record, now_ms, now_ms)
        else:
            known.attempts += 1
            known.last_ms = now_ms
            if not known.begun:
                known.record = record
        self._messages[what, seq] = known
        self._messages.move_to_end((what, seq))
        self._last[what] = seq
        if len(self._messages) > self.most:
            (old, number), _ = self._messages.popitem(last=False)
            if self._last.get(old) == number:
                del self._last[old]
        return known

    def _known(self, what: Hashable, seq: int | None, now_ms: int) -> Message | None:
        same = self._messages.get((what, seq))
        if same is not None and abs(now_ms - same.last_ms) <= AGAIN_WITHIN_MS:
            return same
        # Under another number, what was turned away is that message again, for as long as the presses
        # of a school are one alarm: for longer, a new press would go under in it.
        last = self._messages.get((what, self._last.get(what)))
        if last is None or not last.turned_away or now_ms - last.first_ms > ALARM_LASTS_MS:
            return None
        return last if abs(now_ms - last.last_ms) <= AGAIN_WITHIN_MS else None
