"""A batch of presses on the panic listener, cut to what must be heard. Pure."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

MAX_PRESSES: Final = 32
"""So many of one batch are read: it comes from one device, and reading takes time from others' presses."""


class Says(NamedTuple):
    """What a press says that another one of the same device may not."""

    type: str
    duress: bool
    place: str


def most_telling(items: list[T], says: Callable[[T], Says]) -> list[T]:
    """All of a small batch; of a larger one MAX_PRESSES, in their order.

    What is left out says nothing that another of them does not: the first that says each thing is there,
    those under duress before the others, and then the last ones of the batch.
    """
    if len(items) <= MAX_PRESSES:
        return items
    first: dict[Says, int] = {}
    for at, item in enumerate(items):
        first.setdefault(says(item), at)
    urgent = sorted(first.items(), key=lambda one: (not one[0].duress, one[1]))
    chosen = {at for _, at in urgent[:MAX_PRESSES]}
    for at in range(len(items) - 1, -1, -1):
        if len(chosen) == MAX_PRESSES:
            break
        chosen.add(at)
    return [items[at] for at in sorted(chosen)]
