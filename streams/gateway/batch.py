"""A batch of presses on the panic listener, cut to what must be heard. Pure."""

from typing import Any, Final

MAX_PRESSES: Final = 32
"""So many of one batch are read: it comes from one device, and reading takes time from others' presses."""


def most_telling(items: list[Any]) -> list[Any]:
    """All of a small batch; of a larger one MAX_PRESSES, in their order.

    What is left out says nothing that another of them does not: the first of each type, duress and
    place is there, those under duress before the others, and then the last ones of the batch.
    """
    if len(items) <= MAX_PRESSES:
        return items
    first: dict[tuple[str, str, str], int] = {}
    for at, item in enumerate(items):
        first.setdefault(_says(item), at)
    urgent = sorted(first.values(), key=lambda at: (not _is_duress(items[at]), at))
    chosen = set(urgent[:MAX_PRESSES])
    for at in range(len(items) - 1, -1, -1):
        if len(chosen) == MAX_PRESSES:
            break
        chosen.add(at)
    return [items[at] for at in sorted(chosen)]


def _says(item: Any) -> tuple[str, str, str]:
    said = _fields(item)
    return repr(said.get("type"))[:64], repr(said.get("duress"))[:64], repr(said.get("place"))[:200]


def _is_duress(item: Any) -> bool:
    return _fields(item).get("duress") is True


def _fields(item: Any) -> dict[str, Any]:
    """The event's own fields, also inside a CloudEvent."""
    if not isinstance(item, dict):
        return {}
    data = item.get("data")
    return {**item, **data} if isinstance(data, dict) else item
