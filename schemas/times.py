"""Event times as people and other machines read them.

A device's clock may say anything that TimeMs holds, up to the year 287396, and neither Python's datetime
nor the formats of DC-09 and CAP go beyond 9999. So nobody else makes a datetime of milliseconds
(tests/schemas/test_times.py): here none raises, and what is beyond shows as the last moment there is.
"""

from datetime import UTC, datetime
from typing import Final, Literal

LAST_MS: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z"""
LAST_STORED_MS: Final = 10_413_791_999_999
"""2299-12-31T23:59:59.999Z, where ClickHouse's DateTime64 ends."""
TOO_OLD_MS: Final = 7 * 86_400_000
IN_FUTURE_MS: Final = 10 * 60_000
"""An event whose time is farther from Kafka's is stored by no lane (streams.store.judge); a press is raised
all the same. The gateway warns by the same bounds."""
_FIRST_MS: Final = -62_135_596_800_000


def untimely(event_ms: int, kafka_ms: int) -> Literal["too_old", "in_future"] | None:
    """Why an event of this time, which came at Kafka's, is not stored; None when it is."""
    if event_ms < kafka_ms - TOO_OLD_MS:
        return "too_old"
    return "in_future" if event_ms > kafka_ms + IN_FUTURE_MS else None


def utc(at_ms: float) -> datetime:
    """The moment in UTC, to the millisecond; the first or last one of datetime's for what is beyond."""
    whole_ms = int(min(max(at_ms, _FIRST_MS), LAST_MS))
    seconds, ms = divmod(whole_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)
