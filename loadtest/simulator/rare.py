"""The rare events of a school day: presses, tests, reports, crimes, calls for help, inspections."""

from typing import Any, Final

import numpy as np

from loadtest.simulator.encode import Encoder, Record, event_id_of
from schemas.events import (
    Category,
    Channel,
    CrimeSeverity,
    FindingSeverity,
    HelpTopic,
    Involvement,
    Language,
)

_PLACES: Final = ("yard", "corridor", "classroom", "canteen", "gym", "gate", "stairs", "online")
_CATEGORY_WEIGHTS: Final = (0.42, 0.12, 0.12, 0.02, 0.05, 0.03, 0.16, 0.08)
_TEXTS: Final = {
    "kk": "Үлкен балалар ақша талап етеді.",
    "ru": "Старшие отбирают деньги у младших.",
    "en": "Older pupils take money from younger ones.",
}


Drawn = tuple[int, Record]
"""The number of the device or desk that speaks, and what it says."""


class Rare:
    """Draws each rare event's school and content, seeded, and has it written."""

    def __init__(self, encoder: Encoder, seed: int) -> None:
        self._encoder = encoder
        self._rng = np.random.default_rng([seed, encoder.fleet.boot, 3])
        fleet = encoder.fleet
        pupils = np.array([school.pupils for school in fleet.schools], dtype=float)
        self._weights = np.cumsum(pupils / pupils.sum())
        self._with_buttons = [s for s, (_, count) in enumerate(fleet.buttons) if count]
        self._turns = self._rng.permutation(self._with_buttons).tolist()
        self._presses = 0
        self._cases = 0

    @property
    def can_press(self) -> bool:
        return bool(self._with_buttons)

    def _school(self) -> int:
        """By pupils: where more children are, more happens."""
        found = int(np.searchsorted(self._weights, self._rng.random()))
        return min(found, len(self._weights) - 1)

    def _pick(self, choices: Any, p: Any = None) -> Any:
        choices = list(choices)
        return choices[int(self._rng.choice(len(choices), p=p))]

    def _button(self, school: int) -> int:
        first, count = self._encoder.fleet.buttons[school]
        return first + int(self._rng.integers(count))

    def press(self, now_ms: int) -> Drawn:
        """Another school at each press, until all had one: no two are told apart by time alone."""
        device = self._button(self._turns[self._presses % len(self._turns)])
        self._presses += 1
        fields: dict[str, Any] = {"duress": bool(self._rng.random() < 0.05)}
        if self._rng.random() < 0.5:
            fields["place"] = self._pick(_PLACES[:-1])
        return device, self._encoder.other("panic.pressed", device, now_ms, fields)

    def cancel(self, device: int, press: Record, now_ms: int) -> Record:
        fields = {"press": event_id_of(press[2])}
        return self._encoder.other("panic.cancelled", device, now_ms, fields)

    def test(self, now_ms: int) -> Drawn:
        fields = {"passed": bool(self._rng.random() < 0.985)}
        device = self._button(int(self._rng.choice(self._with_buttons)))
        return device, self._encoder.other("panic.test", device, now_ms, fields)

    def report(self, now_ms: int) -> Drawn:
        channel = self._pick(Channel, (0.75, 0.1, 0.15))
        language = self._pick(Language, (0.55, 0.4, 0.05))
        fields = {
            "channel": channel.value,
            "category": self._pick(Category, _CATEGORY_WEIGHTS).value,
            "language": language.value,
            "place": self._pick(_PLACES),
        }
        if self._rng.random() < 0.4:
            fields["text"] = _TEXTS[language.value]
        desk = self._encoder.fleet.desk(self._school(), f"{channel.value}-1")
        return desk, self._encoder.other("incident.reported", desk, now_ms, fields)

    def crime(self, now_ms: int) -> Drawn:
        self._cases += 1
        fields = {
            "case": f"KUI-{self._encoder.fleet.boot}-{self._cases}",
            "involvement": self._pick(Involvement, (0.2, 0.8)).value,
            "severity": self._pick(CrimeSeverity, (0.2, 0.29, 0.48, 0.03)).value,
            "category": self._pick(Category, _CATEGORY_WEIGHTS).value,
        }
        desk = self._encoder.fleet.desk(self._school(), "police-register")
        return desk, self._encoder.other("incident.registered", desk, now_ms, fields)

    def help(self, now_ms: int) -> Drawn:
        fields = {
            "topic": self._pick(HelpTopic, (0.6, 0.1, 0.2, 0.1)).value,
            "language": self._pick(Language, (0.55, 0.4, 0.05)).value,
        }
        desk = self._encoder.fleet.desk(self._school(), "qr-1")
        return desk, self._encoder.other("help.requested", desk, now_ms, fields)

    def inspection(self, now_ms: int) -> Drawn:
        found = self._rng.random() < 0.3
        finding = {
            "code": "turnstile.open",
            "severity": self._pick(FindingSeverity, (0.6, 0.3, 0.1)).value,
            "text": "The turnstile stood open.",
        }
        fields = {
            "inspector": f"inspector-{int(self._rng.integers(1, 400))}",
            "findings": [finding] if found else [],
        }
        desk = self._encoder.fleet.desk(self._school(), "inspection")
        return desk, self._encoder.other("inspection.completed", desk, now_ms, fields)

    def equipment(self, now_ms: int) -> Drawn:
        school = self._school()
        desk = self._encoder.fleet.desk(school, "registry")
        return desk, self._encoder.equipment(school, now_ms)
