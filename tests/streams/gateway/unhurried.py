"""The gateway as a process of its own on a machine that may be busy.

    python -m tests.streams.gateway.unhurried [--strangers-stay] gateway

What it puts down to a full disk or a deaf receiver after 0.4 s, it waits for: a process that lost the
processor for a second has neither. With ``--strangers-stay`` nobody's time is over: whoever gets through
did so because room was made.
"""

import sys

from schemas.private import keep_private
from schemas.settings import configured_var
from streams.__main__ import main
from streams.gateway import api, direct, door, panics, process

PATIENCE_S = 60.0
FOR_EVER_S = 3_600.0

if __name__ == "__main__":
    panics.DISK_TIMEOUT_S = direct.FIRST_TIMEOUT_S = direct.TIMEOUT_S = PATIENCE_S  # type: ignore[misc]
    if "--strangers-stay" in sys.argv:
        sys.argv.remove("--strangers-stay")
        process.HEADER_S = process.FIRST_FRAME_S = FOR_EVER_S  # type: ignore[misc]
        door.HANDSHAKE_S = api.PRESS_BODY_TIMEOUT_S = FOR_EVER_S  # type: ignore[misc]
    keep_private(configured_var())
    main()
