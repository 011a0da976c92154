"""What the notifier hears, and which record says it."""

from typing import Final, NamedTuple

import structlog
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from schemas.alerts import NOTICE, Notice

log = structlog.get_logger(__name__)

GROUP: Final = "saqshy-notify"
REBUILD_MS: Final = 2 * 86_400_000
AT_MOST: Final = 2_000


class NoticeRead(NamedTuple):
    """``partition``: None for what was told directly, past Kafka."""

    notice: Notice
    partition: int | None
    kafka_ms: int
    offset: int


def heard(record: ConsumerRecord) -> NoticeRead | None:
    """None for a record that can't be read."""
    try:
        notice = NOTICE.validate_json(record.value or b"")
    except ValidationError:
        log.warning(
            "a record can't be read and is passed over",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        return None
    return NoticeRead(notice, record.partition, record.timestamp, record.offset)
