"""What a center is told of an alarm: where, how often, and how sure."""

from schemas.events import DeviceKind, ExpectedDevice
from schemas.life import Life
from streams.dispatch.alarm import MOST_PLACES, Alarm, alarm_of
from streams.dispatch.cap import cap_of
from streams.dispatch.dc09 import frame_of
from streams.dispatch.decide import Kind, Send
from streams.dispatch.school_address import address_of
from tests.streams.dispatch.stories import T0, center, pressed, registered

SEND = Send("own", Kind.ALERT, "message-1", Kind.ALERT, 1, 1, 0)


def alarm(*places: str, device: str = "button-3") -> Alarm:
    """Of one press at each of these places, which the press itself may not know."""
    life = Life(pressed().id)
    for number, place in enumerate(places):
        life.changed(pressed(number=number, device=device, place=place))
    button = ExpectedDevice(
        device="button-3", kind=DeviceKind.PANIC_BUTTON, period_s=60, place="gym"
    )
    school = address_of(registered().model_copy(update={"devices": [button]}))
    return alarm_of(life, SEND, school, 1, T0)


def test_where_it_was_pressed_is_told_each_once_the_newest_first() -> None:
    assert alarm("room 12", "library", "room 12").places == ("room 12", "library")
    many = [f"room {n}" for n in range(3 * MOST_PLACES)]
    assert alarm(*many).places == tuple(reversed(many[-MOST_PLACES:]))


def test_where_the_press_does_not_say_the_registry_may_know() -> None:
    assert alarm("").places == ("gym",)
    assert alarm("", device="button-9").places == ()


def test_both_protocols_carry_the_place() -> None:
    told = alarm("room 12")
    assert b"button-3 (room 12)" in cap_of(told, center())
    (where,) = [f for f in frame_of(told, center(fields="L")).extended if f.startswith("L")]
    assert where == "Lroom 12; 43.20000,76.90000; Almaty"


def test_a_receiver_that_knows_no_cyrillic_can_show_the_place() -> None:
    (where,) = frame_of(alarm("2 этаж, бастауыш мектеп"), center(fields="L")).extended
    assert where.startswith("L2 etazh, bastauysh mektep; ")
