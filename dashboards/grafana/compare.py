"""Whether what Grafana holds is what is wanted: it adds fields of its own and leaves out empty ones."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS: Final = (86_400, 3_600, 60, 1)


def differences(wanted: Any, held: Any, ignore: Set[str] = frozenset(), at: str = "") -> list[str]:
    """Paths (a.b[2]) at which what is held is not what is wanted; extra fields don't count.

    ``ignore``: fields that are not compared, wherever they stand.
    """
    if _empty(wanted) and _empty(held):
        return []
    if isinstance(wanted, Mapping) and isinstance(held, Mapping):
        return [
            found
            for key, value in wanted.items()
            if key not in ignore
            for found in differences(value, held.get(key), ignore, f"{at}.{key}" if at else key)
        ]
    if _list(wanted) and _list(held):
        if len(wanted) != len(held):
            return [f"{at} ({len(held)} there, {len(wanted)} wanted)"]
        return [
            found
            for i, (one, other) in enumerate(zip(wanted, held, strict=True))
            for found in differences(one, other, ignore, f"{at}[{i}]")
        ]
    return [] if wanted == held or _same_duration(wanted, held) else [at]


def _list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ("", 0, "0s") or value in ([], {})


def _same_duration(one: Any, other: Any) -> bool:
    """5m is 5m0s."""
    return (
        isinstance(one, str)
        and isinstance(other, str)
        and (seconds := _seconds(one)) is not None
        and seconds == _seconds(other)
    )


def _seconds(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    return sum(int(n) * unit for n, unit in zip(match.groups(default="0"), _SECONDS, strict=True))
