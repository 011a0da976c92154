"""Who stays on a listener: whatever comes, goes, speaks or waits, it never has more than it may."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.gateway.room import LEAST, MOST, TURNOVER_PER_S, Guest, Room, Rules, shares

ADDRESSES = [f"10.0.0.{n}" for n in range(1, 6)] + ["192.168.0.1", "2001:db8::1", "2001:db8::2"]
RULES = Rules(
    6, 3, per_device=2, first_s=5, idle_s=20, busy_s=30, proxies=lambda a: a == "192.168.0.1"
)


class Listener(RuleBasedStateMachine):
    """Whatever happens to a room with 6 places, against what is really open."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(RULES)
        self.open: list[Guest] = []
        self.now_s = 0.0

    @rule(address=st.sampled_from(ADDRESSES))
    def comes(self, address: str) -> None:
        known = [one for one in self.open if one.who is not None]
        busy = [one for one in self.open if one.busy]
        strangers = [one for one in self.open if one.who is None and not one.busy]
        guest = Guest(address)
        guest.close = lambda: self.open.remove(guest)
        there = sum(one.address == address for one in self.open)
        if self.room.enter(guest, self.now_s):
            self.open.append(guest)
        else:
            assert there >= RULES.per_address or ":" in address
        if strangers:
            # As long as a stranger can go, nobody goes who has a key.
            assert all(one in self.open for one in known)
        if len(busy) < RULES.per_address:
            assert all(one in self.open for one in busy)

    @rule(data=st.data())
    def reads(self, data: st.DataObject) -> None:
        if self.open:
            self.room.read(data.draw(st.sampled_from(self.open)), self.now_s)

    @rule(data=st.data(), device=st.sampled_from("abcdef"))
    def is_known(self, data: st.DataObject, device: str) -> None:
        if self.open:
            guest = data.draw(st.sampled_from(self.open))
            busy = [one for one in self.open if one.busy]
            self.room.know(guest, device, self.now_s)
            assert all(one in self.open for one in (guest, *busy))

    @rule(data=st.data())
    def works(self, data: st.DataObject) -> None:
        idle = [guest for guest in self.open if not guest.busy]
        if idle:
            self.room.work(data.draw(st.sampled_from(idle)), self.now_s)

    @rule(data=st.data())
    def rests(self, data: st.DataObject) -> None:
        busy = [guest for guest in self.open if guest.busy]
        if busy:
            self.room.rest(data.draw(st.sampled_from(busy)), self.now_s)

    @rule(data=st.data())
    def goes(self, data: st.DataObject) -> None:
        if self.open:
            guest = data.draw(st.sampled_from(self.open))
            self.open.remove(guest)
            self.room.leave(guest)
            self.room.leave(guest)

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.room.close_late(self.now_s)
        assert all(guest.until_s > self.now_s for guest in self.open)

    @invariant()
    def it_knows_who_is_there(self) -> None:
        assert self.room.size == len(self.open) <= RULES.most
        strangers = [g for g in self.open if g.who is None and g.address == "10.0.0.1"]
        assert len(strangers) <= RULES.per_address
        # Nobody stays without a word of a request for longer than the longest time there is.
        assert all(guest.until_s <= self.now_s + RULES.busy_s for guest in self.open)


TestListener = Listener.TestCase
TestListener.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def guests(room: Room, *addresses: str) -> tuple[list[Guest], list[Guest]]:
    closed: list[Guest] = []
    came = [Guest(address) for address in addresses]
    for guest in came:
        guest.close = lambda guest=guest: closed.append(guest)  # type: ignore[misc]
        room.enter(guest, 0)
    return came, closed


def test_a_full_room_closes_who_never_said_anything_before_who_has_a_key() -> None:
    room = Room(Rules(3, 3))
    (device, *silent), closed = guests(room, "a", "b", "c")
    room.know(device, "button-1", 0)
    room.enter(Guest("d"), 1)
    assert closed == silent[:1]


def test_one_address_makes_room_for_itself_and_never_shuts_itself_out() -> None:
    room = Room(Rules(100, 2))
    school, closed = guests(room, *["10.0.0.7"] * 5)
    assert closed == school[:3]


def test_an_address_that_comes_faster_than_anybody_can_use_costs_nothing() -> None:
    room = Room(Rules(10_000, 100))
    came = [room.enter(Guest("10.0.0.7"), 0) for _ in range(1_000)]
    assert came.count(True) == 100 + TURNOVER_PER_S
    assert room.enter(Guest("10.0.0.8"), 0)
    # It is not shut out: soon others of it come in again.
    assert room.enter(Guest("10.0.0.7"), 0.5)


def test_a_device_of_a_school_behind_one_address_does_not_count_against_it() -> None:
    room = Room(Rules(100, 2))
    came, closed = guests(room, "10.0.0.7", "10.0.0.7")
    for number, guest in enumerate(came):
        room.know(guest, f"button-{number}", 0)
    guests(room, "10.0.0.7", "10.0.0.7")
    assert closed == []


def test_a_proxy_of_ours_has_no_limit_of_its_own() -> None:
    room = Room(Rules(100, 2, proxies=lambda address: address == "10.0.0.7"))
    _, closed = guests(room, *["10.0.0.7"] * 50)
    assert closed == []


def test_one_ipv6_network_is_one_address() -> None:
    room = Room(Rules(100, 2))
    _, closed = guests(room, *[f"2001:db8::{n}" for n in range(5)])
    assert len(closed) == 3


def test_every_listener_has_its_share_and_some_are_left() -> None:
    for limit in (300, 1_024, 20_000, 1_048_576):
        room_for = shares(limit, {"panic": 10, "events": 10, "dc09": 10})
        assert sum(room_for.values()) <= limit - 64
        assert all(LEAST <= most <= MOST for most in room_for.values())
        assert room_for["panic"] == room_for["events"]
