"""Who may stay on a listener, and who makes room for the next. Pure: clock and closing injected.

A listener has room for so many connections and never has more, so that whoever fills one takes no
descriptor from another. When it is full somebody goes: first the oldest connection that has said
nothing with a valid key, then the longest idle one, then one of whoever has most. One address has so
many without a key, one device so many with its own: what is over costs them their own oldest one, and is not
let in from an address that floods. Of a
press whose connection goes, what came is raised all the same (streams.gateway.api).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.gateway.limit import Limit
from streams.runtime.network import network_of

LEAST: Final = 8
"""Connections that each listener has room for, however few descriptors there are."""
MOST: Final = 20_000
"""And at most, as each costs memory: a country's panels on one gateway, each with its connection."""

TURNOVER_PER_S: Final = 100
"""So many connections of a crowded address make room for its new ones each second."""


@dataclass(slots=True, eq=False)
class Guest:
    """One connection. ``who``: the device, once a valid key or account said so. It is over at
    ``until_s`` by the clock of the room."""

    address: str
    until_s: float = 0.0
    who: Hashable | None = None
    busy: bool = False
    reading: bool = False
    close: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Rules:
    """``first_s``: a stranger's whole first request, or what of a request comes before its body, is
    there by then. ``idle_s`` between two requests of a known device, ``busy_s`` for an answer.
    ``proxies``: whether many share this address, because a proxy of ours speaks for them."""

    most: int
    per_address: int
    per_device: int = 64
    first_s: float = 5.0
    idle_s: float = 20.0
    busy_s: float = 30.0
    proxies: Callable[[str], bool] = field(default=lambda _: False)


class Room:
    """The connections of one listener."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._guests: set[Guest] = set()
        # Idle ones, the longest idle first.
        self._strangers: OrderedDict[Guest, None] = OrderedDict()
        self._known: OrderedDict[Guest, None] = OrderedDict()
        # By address while it is a stranger, then by device.
        self._groups: dict[Hashable, OrderedDict[Guest, None]] = {}
        self._turnover = Limit(TURNOVER_PER_S, TURNOVER_PER_S, 1_000)
        self.evicted = 0

    @property
    def size(self) -> int:
        return len(self._guests)

    def __contains__(self, guest: Guest) -> bool:
        return guest in self._guests

    def enter(self, guest: Guest, now_s: float) -> bool:
        """Let it in, and close whoever makes room. False: its address has many, and comes faster than
        they could be of use to anybody; to take it in would cost time of others' presses."""
        network = network_of(guest.address)
        if len(self._groups.get(network, ())) >= self._rules.per_address and not (
            self._rules.proxies(guest.address)
        ):
            if self._turnover.wait_s(network, 1, now_s) > 0:
                self.evicted += 1
                return False
            self._crowded(network, self._rules.per_address)
        if len(self._guests) >= self._rules.most:
            self.make_room()
        self._guests.add(guest)
        self._strangers[guest] = None
        self._groups.setdefault(network, OrderedDict())[guest] = None
        guest.until_s = now_s + self._rules.first_s
        return True

    def read(self, guest: Guest, now_s: float) -> None:
        """Bytes came. A known device's next request has as long as a stranger's first."""
        if not guest.reading and not guest.busy and guest.who is not None:
            guest.until_s = now_s + self._rules.first_s
        guest.reading = True

    def know(self, guest: Guest, who: Hashable, now_s: float) -> None:
        """A valid key, or account, spoke on it; what else it has to say comes within ``busy_s``."""
        if guest not in self._guests:
            return
        guest.until_s = now_s + self._rules.busy_s
        if guest.who == who:
            return
        self._crowded(who, self._rules.per_device)
        self._leave_group(guest)
        guest.who = who
        self._groups.setdefault(who, OrderedDict())[guest] = None
        if self._strangers.pop(guest, 0) is None:
            self._known[guest] = None

    def work(self, guest: Guest, now_s: float) -> None:
        """Its request is whole and being answered: it is the last to make room for others."""
        guest.busy = True
        guest.until_s = now_s + self._rules.busy_s
        self._strangers.pop(guest, None)
        self._known.pop(guest, None)

    def rest(self, guest: Guest, now_s: float, idle_s: float | None = None) -> None:
        """It was answered; ``idle_s`` until its next request, if not as long as the others."""
        if guest not in self._guests:
            return
        guest.busy = guest.reading = False
        known_s = self._rules.idle_s if idle_s is None else idle_s
        guest.until_s = now_s + (self._rules.first_s if guest.who is None else known_s)
        (self._strangers if guest.who is None else self._known)[guest] = None

    def leave(self, guest: Guest) -> None:
        """Its connection is closed. Leaving twice does nothing."""
        if guest in self._guests:
            self._guests.remove(guest)
            self._strangers.pop(guest, None)
            self._known.pop(guest, None)
            self._leave_group(guest)

    def close_late(self, now_s: float) -> None:
        """Close those whose time is over."""
        for guest in [guest for guest in self._guests if guest.until_s <= now_s]:
            self._evict(guest)

    def make_room(self) -> None:
        """Close the one that may best go."""
        for idle in (self._strangers, self._known):
            for guest in idle:
                self._evict(guest)
                return
        if self._groups:
            most = max(self._groups, key=lambda group: len(self._groups[group]))
            self._evict(next(iter(self._groups[most])))

    def _crowded(self, group: Hashable, most: int) -> None:
        """What was sent whole is answered, however much of it one device sends."""
        theirs = self._groups.get(group, ())
        if len(theirs) >= most:
            oldest = next((guest for guest in theirs if not guest.busy), None)
            if oldest is not None:
                self._evict(oldest)

    def _evict(self, guest: Guest) -> None:
        self.evicted += 1
        self.leave(guest)
        guest.close()

    def _leave_group(self, guest: Guest) -> None:
        group = network_of(guest.address) if guest.who is None else guest.who
        theirs = self._groups.get(group)
        if theirs is not None:
            theirs.pop(guest, None)
            if not theirs:
                del self._groups[group]


def shares(descriptors: int, weights: Mapping[str, int]) -> dict[str, int]:
    """How many connections each listener has room for. What is not theirs is the reserve: Kafka,
    the journal and who is told directly need descriptors, too, whatever strangers do."""
    reserve = min(max(descriptors // 4, 64), 1_000)
    free = max(descriptors - reserve, 0)
    whole = sum(weights.values())
    return {name: max(LEAST, min(MOST, free * weight // whole)) for name, weight in weights.items()}
