"""What stands in a folder whose owners are at work."""

import os
from collections.abc import Iterator
from pathlib import Path


def below(folder: Path) -> Iterator[Path]:
    """All files and folders in it. One that goes away meanwhile is passed over.

    ClickHouse merges and Kafka deletes at any moment, and pathlib's rglob raises when a folder that
    it was about to list is gone.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)
