"""The last word on each key of a compacted topic."""

from typing import Any


class Newest:
    """Which record is the last word on its key, when a key's records lie in several partitions.

    That is so after a topic got more partitions. Within one partition the offset decides, between two
    the broker's stamp. Of partitions that are read one after the other, what is older may come later.
    """

    def __init__(self) -> None:
        self._at: dict[bytes | None, tuple[int, int]] = {}

    def takes(self, record: Any) -> bool:
        """Whether this record is news; those of one partition come in their order."""
        partition, stamp_ms = self._at.get(record.key, (record.partition, 0))
        if partition != record.partition and record.timestamp < stamp_ms:
            return False
        self._at[record.key] = record.partition, record.timestamp
        return True
