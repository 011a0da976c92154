"""Each part writes its log straight to a file; here it is kept from growing without bound."""

import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 20 * 1024 * 1024


def rotate(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Keep one older copy. The part's descriptor is in append mode, so that truncating is safe."""
    try:
        if path.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    older = path.with_suffix(".1.log")
    older.write_bytes(path.read_bytes()[-max_bytes:])
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int = 15) -> str:
    """The last lines, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
