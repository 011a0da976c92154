"""The device key with which the watchdog of this machine goes through the gateway."""

import time
from pathlib import Path
from typing import Final

from deploy.embedded.secrets import secret_path, write_private
from schemas.settings import Settings
from streams.keys import (
    Device,
    add,
    changing,
    claimed,
    is_valid,
    keys_path,
    rotate,
    write_keys,
)

CANARY: Final = Device("KZ-00-99999", "canary")
"""No partition has this number, so that it is told apart from those that go straight to Kafka."""


def canary_key_file(settings: Settings) -> Path:
    """The file with the key, made on first use, and anew when the gateway does not know it any more.

    Raises streams.keys.KeyTrouble and OSError.
    """
    path = secret_path(settings.var, "canary-key").absolute()
    with changing(keys_path(settings)) as keys:
        said = claimed(f"Bearer {path.read_text().strip()}") if path.exists() else None
        if said is None or said[0] != CANARY or not is_valid(keys, *said):
            make = rotate if CANARY in keys else add
            new, key = make(keys, CANARY, int(time.time() * 1000))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, key)
            write_keys(keys_path(settings), new)
    return path
