"""Turnstile passes for benchmarks: written from templates, each device with its own sequence.

Schools and their devices come up at random, as in life; the simulator's own fleet has more of a
country than a benchmark of 100,000 schools should pay for.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from kafka.partitioner.default import murmur2

REGIONS: Final = 20
_ODD: Final = 0x9E3779B97F4B
_MASK48: Final = (1 << 48) - 1
_ODD64: Final = 0x9E3779B97F4A7C15
_MASK64: Final = (1 << 64) - 1

Keyed = tuple[int, bytes, bytes]
"""(partition, key, value)"""


def partition_of(key: bytes, partitions: int) -> int:
    """As Kafka's own clients place a key."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions


def school_id(number: int) -> str:
    """Unique below two million."""
    return f"KZ-{10 + number % REGIONS}-{number // REGIONS:05d}"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who sends: ``schools`` with ``devices`` turnstiles each, over ``partitions``."""

    schools: int
    devices: int
    partitions: int
    seed: int = 1
    boot: int = 1


class Passes:
    """Draws passes; every (school, device, boot, seq) once."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self._rng = np.random.default_rng([crowd.seed, crowd.boot])
        self._keys = [school_id(n).encode() for n in range(crowd.schools)]
        self._partitions = [partition_of(key, crowd.partitions) for key in self._keys]
        self._seqs = [0] * (crowd.schools * crowd.devices)
        self._node = f"7{crowd.seed & 0xFFF:03x}-{0x8000 | crowd.boot & 0x3FFF:04x}"
        self._count = 0

    def each_device_once(self, time_ms: int) -> Iterator[Keyed]:
        return self._write(range(len(self._seqs)), [time_ms] * len(self._seqs))

    def draw(self, times_ms: Sequence[int]) -> Iterator[Keyed]:
        """One pass per time, of devices drawn at random."""
        devices = self._rng.integers(len(self._seqs), size=len(times_ms)).tolist()
        return self._write(devices, times_ms)

    def recovered(self, per_school: int, until_ms: int, span_ms: int) -> list[Keyed]:
        """What the schools kept back in an outage of ``span_ms``, all of it, out of order."""
        total = self.crowd.schools * per_school
        devices = np.arange(total) % len(self._seqs)
        times = until_ms - span_ms + np.arange(total) * span_ms // total
        written = list(self._write(devices.tolist(), times.tolist()))
        return [written[n] for n in self._rng.permutation(total).tolist()]

    def _write(self, devices: Sequence[int], times_ms: Sequence[int]) -> Iterator[Keyed]:
        keys, partitions, seqs, per_school = (
            *(self._keys, self._partitions, self._seqs),
            self.crowd.devices,
        )
        node, boot, n = self._node, self.crowd.boot, self._count
        for device, at in zip(devices, times_ms, strict=True):
            n += 1
            school, gate = divmod(device, per_school)
            seq = seqs[device]
            seqs[device] = seq + 1
            key = keys[school]
            yield (
                partitions[school],
                key,
                b'{"id":"%08x-%04x-%b-%012x","school":"%b","device":"turnstile-%d","time_ms":%d,'
                b'"boot":%d,"seq":%d,"v":1,"type":"pass","direction":"%b","outcome":"granted",'
                b'"card":"%016x"}'
                % (
                    *(at >> 16, at & 0xFFFF, node.encode(), (n * _ODD) & _MASK48),
                    *(key, gate + 1, at, boot, seq),
                    *(b"in" if n % 13 else b"out", (n * _ODD64) & _MASK64),
                ),
            )
        self._count = n


def registrations(crowd: Crowd, time_ms: int) -> Iterator[Keyed]:
    """The registry's record of each school."""
    devices = [
        {"device": f"turnstile-{n + 1}", "kind": "turnstile", "period_s": 180}
        for n in range(crowd.devices)
    ]
    for number in range(crowd.schools):
        school = school_id(number)
        event = {
            "id": f"{time_ms >> 16:08x}-{time_ms & 0xFFFF:04x}-7000-8000-{number:012x}",
            "type": "school.registered",
            "school": school,
            "device": "registry",
            "time_ms": time_ms,
            "boot": 1,
            "seq": number,
            "names": {"kk": school, "ru": school, "en": school},
            "region": school[:5],
            "district": "District",
            "latitude": 48.0,
            "longitude": 67.0,
            "pupils": 800,
            "ownership": "public",
            "shifts": [{"bells": ["08:00", "08:50"]}],
            "provider": "benchmark",
            "devices": devices,
        }
        key = school.encode()
        yield partition_of(key, crowd.partitions), key, json.dumps(event).encode()
