"""The Common Alerting Protocol 1.2 (OASIS): an alarm as one XML message, by POST.

A real alarm is Actual, a drill Exercise, a link test Test. Scope is Private: it is for one center.
"""

from typing import ClassVar, Final
from xml.etree import ElementTree

from schemas.times import utc
from streams.dispatch.alarm import Alarm
from streams.dispatch.centers import Center
from streams.dispatch.decide import Kind
from streams.dispatch.post import Post

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
SENDER: Final = "saqshy"
MSG_TYPE: Final = {Kind.ALERT: "Alert", Kind.UPDATE: "Update", Kind.CANCEL: "Cancel"}
CERTAINTY: Final = ("Unlikely", "Possible", "Likely", "Observed", "Observed")
"""By score."""

ElementTree.register_namespace("", NAMESPACE)


class Cap(Post):
    kind: Final = "cap"
    content_type: ClassVar[str] = "application/cap+xml"

    def alarm_body(self, alarm: Alarm) -> bytes:
        return cap_of(alarm, self._center)

    def test_body(self, message: str, now_ms: int) -> bytes:
        return cap_test(self._center, message, now_ms)


def cap_of(alarm: Alarm, center: Center) -> bytes:
    """The message, valid against the standard's schema."""
    status = "Exercise" if alarm.drill else "Actual"
    root = _root(alarm.message, alarm.sent_ms, status, MSG_TYPE[alarm.kind], center.id)
    references = " ".join(f"{SENDER},{m},{cap_time(at)}" for m, at in alarm.refers_to)
    if references:
        _add(root, "references", references)
    _add(root, "incidents", alarm.alert)
    info = ElementTree.SubElement(root, f"{{{NAMESPACE}}}info")
    over = alarm.kind is Kind.CANCEL
    for name, text in (
        ("category", "Security"),
        ("event", "Panic button, duress" if alarm.duress else "Panic button"),
        ("responseType", "AllClear" if over else "Execute"),
        ("urgency", "Past" if over else "Immediate"),
        ("severity", "Minor" if over or alarm.drill else "Extreme"),
        ("certainty", CERTAINTY[alarm.score]),
        ("senderName", "Saqshy"),
        ("headline", f"Panic at {alarm.school_name or alarm.school}"),
        ("description", _described(alarm)),
    ):
        _add(info, name, text)
    for name, value in (
        ("school", alarm.school),
        ("device", alarm.device),
        ("event", alarm.event),
        ("score", str(alarm.score)),
        ("presses", str(alarm.presses)),
    ):
        parameter = _add(info, "parameter")
        _add(parameter, "valueName", name)
        _add(parameter, "value", value)
    area = _add(info, "area")
    _add(area, "areaDesc", ", ".join(p for p in (alarm.district, alarm.region) if p) or "unknown")
    if alarm.latitude is not None:
        _add(area, "circle", f"{alarm.latitude:.5f},{alarm.longitude:.5f} 0.2")
    return _written(root)


def cap_test(center: Center, message: str, sent_ms: int) -> bytes:
    """A link test."""
    return _written(_root(message, sent_ms, "Test", "Alert", center.id))


def cap_time(at_ms: int) -> str:
    """``2026-01-31T08:00:00-00:00``: the standard wants an offset, and -00:00 for UTC (3.3.2)."""
    return utc(at_ms).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def _root(message: str, sent_ms: int, status: str, kind: str, center: str) -> ElementTree.Element:
    root = ElementTree.Element(f"{{{NAMESPACE}}}alert")
    for name, text in (
        ("identifier", message),
        ("sender", SENDER),
        ("sent", cap_time(sent_ms)),
        ("status", status),
        ("msgType", kind),
        ("scope", "Private"),
        ("addresses", f'"{center}"' if " " in center else center),
    ):
        _add(root, name, text)
    return root


def _described(alarm: Alarm) -> str:
    pressed = cap_time(alarm.pressed_ms)
    unread = " What the device sent could not be read whole." if alarm.unidentified else ""
    why = f" Score {alarm.score} of 4: {'; '.join(alarm.why)}." if alarm.why else ""
    where = f" ({'; '.join(alarm.places)})" if alarm.places else ""
    return f"Pressed {pressed} at {alarm.device or 'an unknown button'}{where}.{why}{unread}"


def _add(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
    child = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    # XML has no place for most control characters, whatever a registry holds.
    child.text = "".join(c for c in text if c.isprintable()) or None
    return child


def _written(root: ElementTree.Element) -> bytes:
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written
