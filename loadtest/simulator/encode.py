"""Events as bytes, written from templates: a model per event would be fifty times slower.

That the bytes are what schemas.events says is proven by a test over every type.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from loadtest.simulator.country import School
from loadtest.simulator.fleet import Fleet
from schemas.events import DeviceKind
from schemas.topics import TOPIC_OF_TYPE

Record = tuple[str, bytes, bytes, str]
"""(topic, key, value, label): the label is the event's type, or ``!reason`` for a record that is
meant to become a dead letter."""

_TOPICS: Final = {kind: topic.name for kind, topic in TOPIC_OF_TYPE.items()}
_PASSES, _HEARTBEATS = _TOPICS["pass"], _TOPICS["heartbeat"]
_ODD: Final = 0x9E3779B97F4B  # odd, so multiplying by it only permutes the 48-bit counters
_MASK48: Final = (1 << 48) - 1
_ID_AT: Final = slice(7, 43)


def event_id_of(value: bytes) -> str:
    """The id of an event written here."""
    return value[_ID_AT].decode()


class Encoder:
    """Writes the events of one fleet, each with the next sequence number of its device.

    Ids are UUIDv7 of the given time, a prefix that is the stream's own, and a permuted counter:
    unique within the stream, the same again for the same seed and the same calls.
    """

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        rng = np.random.default_rng([seed, fleet.boot, 2])
        a, b, self._offset = (int(rng.integers(1 << bits)) for bits in (12, 14, 48))
        self._node = f"7{a:03x}-{0x8000 | b:04x}"
        self._count = 0

    def _envelope(self, kind: str, device: int, now_ms: int) -> str:
        fleet = self.fleet
        self._count += 1
        seq = fleet.seqs[device]
        fleet.seqs[device] = seq + 1
        n = (self._count * _ODD + self._offset) & _MASK48
        return (
            f'{{"id":"{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-{self._node}-{n:012x}",'
            f'"type":"{kind}",{fleet.head[device]}"time_ms":{now_ms + fleet.skew_ms[device]},'
            f'"seq":{seq},"v":1'
        )

    def passed(
        self, device: int, now_ms: int, direction: str, card: int, outcome: str = "granted"
    ) -> Record:
        value = (
            f'{self._envelope("pass", device, now_ms)},"direction":"{direction}",'
            f'"outcome":"{outcome}","card":"{card:016x}"}}'
        )
        return _PASSES, self.fleet.keys[self.fleet.school_of[device]], value.encode(), "pass"

    def heartbeat(self, device: int, now_ms: int, link_pct: int = 90, buffered: int = 0) -> Record:
        fleet = self.fleet
        school = fleet.school_of[device]
        kind = fleet.kinds[device]
        if kind is None:
            raise ValueError(f"{fleet.names[device]} is a desk and has no heartbeat")
        battery = f'"battery_pct":{60 + device % 40},' if kind is DeviceKind.PANIC_BUTTON else ""
        value = (
            f'{self._envelope("heartbeat", device, now_ms)},"kind":"{kind.value}",'
            f'"period_s":{fleet.periods[kind]},{battery}"link_pct":{link_pct},'
            f'"provider":"{fleet.schools[school].provider}","buffered":{buffered},'
            f'"clock_offset_ms":{fleet.skew_ms[device]}}}'
        )
        return _HEARTBEATS, fleet.keys[school], value.encode(), "heartbeat"

    def other(self, kind: str, device: int, now_ms: int, fields: dict[str, Any]) -> Record:
        """An event of a rare type; ``fields`` are the type's own, ready for JSON."""
        own = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]
        value = self._envelope(kind, device, now_ms) + ("," if own else "") + own + "}"
        return _TOPICS[kind], self.fleet.keys[self.fleet.school_of[device]], value.encode(), kind

    def registered(self, school: int, now_ms: int) -> Record:
        fleet = self.fleet
        return self.other(
            "school.registered",
            fleet.desk(school, "registry"),
            now_ms,
            _registry_fields(fleet.schools[school], fleet),
        )

    def equipment(self, school: int, now_ms: int) -> Record:
        there = self.fleet.schools[school]
        contract = there.contract and dict(
            zip(("number", "company", "expires_on"), there.contract, strict=True)
        )
        fields = {
            "turnstiles": there.turnstiles,
            "panic_buttons": there.buttons,
            "gateways": 1,
            "police_link": there.police_link,
            "contract": contract,
        }
        return self.other("equipment.changed", self.fleet.desk(school, "registry"), now_ms, fields)


def registry(encoder: Encoder, now_ms: int) -> Iterable[Record]:
    """Every school's registry record and its installed equipment."""
    for school in range(len(encoder.fleet.schools)):
        yield encoder.registered(school, now_ms)
        yield encoder.equipment(school, now_ms)


def _registry_fields(school: School, fleet: Fleet) -> dict[str, Any]:
    return {
        "names": {"kk": school.kk, "ru": school.ru, "en": school.en},
        "region": school.region,
        "district": school.district,
        "latitude": school.latitude,
        "longitude": school.longitude,
        "pupils": school.pupils,
        "ownership": "private" if school.private else "public",
        "special": school.special,
        "shifts": [{"bells": list(bells)} for bells in school.shifts],
        "provider": school.provider,
        "programs": [program.value for program in school.programs],
        "teacher_assistants": school.assistants,
        "center": school.center,
        "devices": [
            {
                "device": name,
                "kind": kind.value,
                "period_s": fleet.periods[kind],
                "vendor": school.vendor(kind),
                "place": school.place(name),
            }
            for name, kind in school.devices()
        ],
    }
