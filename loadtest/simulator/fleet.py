"""The country's devices as events are written for them: sequence, boot and clock of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from loadtest.simulator.country import PERIODS, Periods, School
from schemas.events import DeviceKind


@dataclass(slots=True)
class Fleet:
    """Devices are numbered through the country, a school's own side by side.

    Lists are indexed by that number: ``head`` is the ready JSON of the envelope's fixed fields,
    ``skew_ms`` what a device's clock is off. ``turnstiles[s]`` is (first number, count) at school
    s. Desks (a QR code, the staff, an inspector) are numbered behind, when they first speak.
    """

    schools: Sequence[School]
    boot: int
    periods: Periods = field(default_factory=lambda: PERIODS)
    names: list[str] = field(default_factory=list)
    kinds: list[DeviceKind | None] = field(default_factory=list)
    school_of: list[int] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    skew_ms: list[int] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    turnstiles: list[tuple[int, int]] = field(default_factory=list)
    buttons: list[tuple[int, int]] = field(default_factory=list)
    installed: int = 0
    desks: dict[tuple[int, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [school.id.encode() for school in self.schools]
        for s, school in enumerate(self.schools):
            start = len(self.names)
            self.first.append(start)
            for name, kind in school.devices():
                self._add(s, name, kind)
            self.turnstiles.append((start + 1, school.turnstiles))
            self.buttons.append((start + 1 + school.turnstiles, school.buttons))
        self.installed = len(self.names)
        self.first.append(self.installed)

    def _add(self, school: int, name: str, kind: DeviceKind | None) -> int:
        number = len(self.names)
        self.names.append(name)
        self.kinds.append(kind)
        self.school_of.append(school)
        self.boots.append(self.boot)
        self.seqs.append(0)
        self.skew_ms.append(0)
        self.head.append(self._head(number))
        return number

    def _head(self, device: int) -> str:
        school = self.schools[self.school_of[device]].id
        return f'"school":"{school}","device":"{self.names[device]}","boot":{self.boots[device]},'

    def reboot(self, device: int) -> None:
        self.boots[device] += 1
        self.seqs[device] = 0
        self.head[device] = self._head(device)

    def desk(self, school: int, name: str) -> int:
        """The number of what is not a device but speaks for the school, such as ``qr-1``."""
        number = self.desks.get((school, name))
        if number is None:
            number = self.desks[school, name] = self._add(school, name, None)
        return number

    def devices_of(self, school: int) -> range:
        return range(self.first[school], self.first[school + 1])

    def periods_ms(self) -> np.ndarray:
        """Heartbeat period of every installed device."""
        periods = {kind: seconds * 1000 for kind, seconds in self.periods.items()}
        return np.array(
            [periods[kind] for kind in self.kinds[: self.installed] if kind is not None],
            dtype=np.int64,
        )
