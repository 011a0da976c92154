"""Python's cycle collector, told to keep out of the way of what flows."""

import gc
from typing import Final

COLLECT_AFTER: Final = 50_000
"""New objects that can be part of a cycle."""


def tune_gc() -> None:
    """To be called once all is imported.

    It starts after 700 new objects by default. A poll brings 20,000 records, none of them part of a
    cycle, and looking at each several times costs more than reading it (1 us an event). Where much
    is kept it stops the process besides: 0.3 s for ten thousand open alarms of a console.
    """
    gc.freeze()  # what is imported stays
    gc.set_threshold(COLLECT_AFTER, 20, 100)
