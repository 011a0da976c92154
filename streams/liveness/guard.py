"""When most schools fall silent at once while our own evidence is impaired, it is likely us. Pure."""

from dataclasses import dataclass
from typing import Final

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id

MASS_FALL_SHARE: Final = 0.2
MASS_FALL_SCHOOLS: Final = 10
"""Fewer schools than this are never a mass fall, however few are watched."""


@dataclass(slots=True)
class Guard:
    """Of one worker. With healthy evidence a fall of any size is real, and is published."""

    _open: AlertChanged | None = None

    def holds(self, falling: int, schools: int, troubles: list[str]) -> bool:
        """Whether nothing may be judged now."""
        mass = falling >= MASS_FALL_SCHOOLS and falling > MASS_FALL_SHARE * schools
        return mass and bool(troubles)

    def say(
        self, held: bool, falling: int, troubles: list[str], kafka_ms: int
    ) -> AlertChanged | None:
        """The alert's next transition, if there is one."""
        if held and self._open is None:
            scope = "liveness"
            self._open = AlertChanged(
                id=alert_id(AlertKind.MONITORING_IMPAIRED, scope, kafka_ms),
                number=0,
                kind=AlertKind.MONITORING_IMPAIRED,
                severity=Severity.CRITICAL,
                action=Action.OPENED,
                school="",
                time_ms=kafka_ms,
                decided_ms=kafka_ms,
                note=f"{falling} schools seem silent, but {'; '.join(troubles)}",
            )
            return self._open
        if self._open is not None and not held:
            resolved = self._open.model_copy(
                update={
                    "number": 1,
                    "action": Action.RESOLVED,
                    "time_ms": kafka_ms,
                    "decided_ms": kafka_ms,
                    "note": "",
                }
            )
            self._open = None
            return resolved
        return None
