"""Records of Kafka to the decisions of one partition: the same live and in a replay. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import ValidationError

from schemas.events import EVENT, Heartbeat, SchoolRegistered, is_canary
from streams.decode.events import EventDecoder
from streams.liveness.calendar import calendar_of
from streams.liveness.decide import Liveness
from streams.liveness.places import Places
from streams.liveness.school import Decision
from streams.transport import Record

NO_SCHOOL: Final = "KZ-00-"
"""Canaries are of this region, which has no school: cheaper to ask first than their whole pattern."""


class TestResult(msgspec.Struct, gc=False):
    """What liveness needs of the panic topic: the weekly tests."""

    type: str
    school: str
    device: str
    passed: bool = True


_beats = EventDecoder(Heartbeat).decode
_passed = msgspec.json.Decoder(TestResult).decode


@dataclass(slots=True)
class Feed:
    """One partition's heartbeats, in the order of their offsets.

    ``speak_from``: a former owner has said what follows from the records before. ``spoke``: whether
    a record after them was heard. ``places``: where the schools of other partitions are judged.
    ``canary_ms``: Kafka's time of the last canary, 0 for none yet.
    """

    liveness: Liveness
    speak_from: int = 0
    places: Places | None = None
    next_offset: int = 0
    spoke: bool = False
    unreadable: int = 0
    canary_ms: int = 0
    canary_period_ms: int = 0

    def hear(self, records: Sequence[Record]) -> list[Decision]:
        """What follows from these heartbeats. Those that were heard already are passed over."""
        liveness, decided = self.liveness, list[Decision]()
        beats = _beats([record.value for record in records])
        for record, beat in zip(records, beats, strict=True):
            offset, stamp_ms = record.offset, record.timestamp
            if offset < self.next_offset:
                continue
            self.next_offset = offset + 1
            if beat is None or record.key != beat.school.encode():
                self.unreadable += 1
                continue
            school = beat.school
            if school.startswith(NO_SCHOOL) and is_canary(school):
                self.canary_ms, self.canary_period_ms = stamp_ms, beat.period_s * 1000
                continue
            if self.places is not None and school not in liveness.schools:
                moved = self.places.heard(beat, liveness, stamp_ms)
                if moved is None:
                    continue
                decided += moved
            offset_ms = beat.clock_offset_ms
            said = (
                *(school, beat.device, beat.kind, beat.period_s),
                *(beat.time_ms - offset_ms, stamp_ms, offset_ms, beat.buffered),
                *(beat.boot, beat.seq),
            )
            if offset < self.speak_from:
                liveness.recall(*said)
                continue
            self.spoke = True
            decided += liveness.hear(*said)
        return decided


def register(liveness: Liveness, key: bytes | None, value: bytes | None) -> list[Decision]:
    """A record of the registry; an empty one takes its school out. What can't be read says nothing."""
    if value is None and key is not None:
        school = key.decode(errors="replace")
        return liveness.register(school, []) if school in liveness.schools else []
    try:
        event = EVENT.validate_json(value or b"")
    except ValidationError:
        return []
    if not isinstance(event, SchoolRegistered) or key != event.school.encode():
        return []
    expected = [(d.device, d.kind.value, d.period_s) for d in event.devices]
    return liveness.register(event.school, expected, calendar_of(event))


def tested(liveness: Liveness, record: Record) -> None:
    """A record of the panic topic, of which only passed tests matter here."""
    try:
        found = _passed(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if found.type == "panic.test" and found.passed and record.key == found.school.encode():
        liveness.tested(found.school, found.device, record.timestamp)
