"""Records of Kafka to the decisions of one partition: the same live and in a test. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind, StatusChanged
from schemas.events import EVENT, SchoolRegistered, is_canary
from streams.arrivals.decide import Arrivals
from streams.arrivals.places import Places
from streams.arrivals.turnstile import LIVE_MS, Turnstile
from streams.liveness.calendar import TURNSTILE
from streams.transport import Record

KINDS: Final = frozenset({AlertKind.NO_PASSES, AlertKind.STUCK_OPEN})
_NAMED: Final = tuple(f'"{kind}"'.encode() for kind in sorted(KINDS))


class PassFields(msgspec.Struct, gc=False):
    """What is needed of a pass; the flow lane judges the rest."""

    type: str
    school: str
    device: str
    time_ms: int
    boot: int
    seq: int
    direction: str
    outcome: str
    card: str


_decode = msgspec.json.Decoder(PassFields).decode


@dataclass(slots=True)
class Feed:
    """One partition's passes, in the order of their offsets; those heard already are passed over.

    ``counts_from_ms``: what was stamped before tells nothing of where a school's passes are now.
    """

    arrivals: Arrivals
    places: Places | None = None
    counts_from_ms: int = 0
    next_offset: int = 0
    unreadable: int = 0

    def hear(self, records: Sequence[Record]) -> list[AlertChanged]:
        """What follows from these passes."""
        arrivals, said = self.arrivals, list[AlertChanged]()
        schools = arrivals.schools
        for record in records:
            offset, stamp_ms = record.offset, record.timestamp
            if offset < self.next_offset:
                continue
            self.next_offset = offset + 1
            if stamp_ms >= arrivals.due_ms:
                said += arrivals.advance(stamp_ms)
            elif stamp_ms > arrivals.proven_ms:
                arrivals.proven_ms = stamp_ms  # due within a minute: no gap to look for
            try:
                found = _decode(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.unreadable += 1
                continue
            name = found.school
            school = schools.get(name)
            if school is None and self.places is not None:
                school = self.places.seen(name, arrivals, stamp_ms)
            if school is None or found.type != "pass" or record.key != name.encode():
                continue
            school.count += stamp_ms >= self.counts_from_ms
            school.last_ms = stamp_ms
            if school.silent is not None:
                said += arrivals.seen(school, stamp_ms)
            device = school.devices.get(found.device)
            if device is None:
                if found.device not in school.turnstiles:
                    continue
                device = school.devices[found.device] = Turnstile()
            seq = found.seq
            if seq <= device.seq and found.boot == device.boot:
                continue
            device.seq, device.boot = seq, found.boot
            if not -LIVE_MS <= stamp_ms - found.time_ms <= LIVE_MS:
                continue
            if device.minute_ms != arrivals.minute_ms:
                arrivals.heard(name, found.device, device)
            if found.outcome != "granted":
                said += arrivals.refused(device, stamp_ms)
            elif device.granted(found.direction, found.card, stamp_ms):
                said += arrivals.runs(name, found.device, device, stamp_ms)
        return said


def school_of(record: Record) -> str:
    """Of a record of the registry, the statuses or the alerts: by its key."""
    school, _, _ = (record.key or b"").decode(errors="replace").partition("/")
    return school


def register(arrivals: Arrivals, record: Record) -> list[AlertChanged]:
    """A record of the registry; what can't be read says nothing."""
    if record.value is None and record.key is not None:
        return arrivals.register(record.key.decode(errors="replace"), None)
    try:
        event = EVENT.validate_json(record.value or b"")
    except ValidationError:
        return []
    if not isinstance(event, SchoolRegistered) or record.key != event.school.encode():
        return []
    return [] if is_canary(event.school) else arrivals.register(event.school, event)


def status(arrivals: Arrivals, record: Record) -> None:
    """A record of the statuses, of which those of schools and turnstiles matter here."""
    try:
        said = NOTICE.validate_json(record.value or b"")
    except ValidationError:
        return
    if not isinstance(said, StatusChanged) or (said.device and said.kind != TURNSTILE):
        return
    school = arrivals.schools.get(said.school)
    if school is not None:
        school.status(said)


def restore(arrivals: Arrivals, record: Record) -> None:
    """A record of the alerts, of which this lane's own matter."""
    value = record.value or b""
    if not any(named in value for named in _NAMED):
        return
    try:
        said = NOTICE.validate_json(value)
    except ValidationError:
        return
    if isinstance(said, AlertChanged) and said.kind in KINDS:
        arrivals.restore(said)
