"""What a deciding worker reads before it may judge."""

from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged
from streams.runtime.kafka.bounded import (
    METADATA_MAX_AGE_MS,
    by_stamp,
    ends_of,
    everything,
    in_order,
    offsets_at,
    partitions_of,
    what_follows,
)
from streams.runtime.kafka.clients import counts_of as partition_counts
from streams.runtime.kafka.newest import Newest

__all__ = [
    "METADATA_MAX_AGE_MS",
    "Newest",
    "by_stamp",
    "ends_of",
    "everything",
    "in_order",
    "offsets_at",
    "partition_counts",
    "partitions_of",
    "status_of",
    "what_follows",
]


def status_of(value: bytes | None) -> StatusChanged | None:
    """None for what is no status."""
    try:
        said = NOTICE.validate_json(value or b"")
    except ValidationError:
        return None
    return said if isinstance(said, StatusChanged) else None
