"""`python -m loadtest compare A B`: two result files side by side."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def load(path: Path) -> dict[str, Any]:
    """A result file. Raises ValueError when it is none."""
    try:
        whole = json.loads(path.read_text())
        dict(whole["figures"])
    except (ValueError, KeyError, TypeError) as trouble:
        raise ValueError(f"{path} is no result file of python -m loadtest: {trouble}") from None
    checked: dict[str, Any] = whole
    return checked


def numbers(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number in the figures under its dotted name, in order. Lists have numbered parts."""
    for key, value in figures.items():
        name = f"{prefix}{key}"
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            yield name, float(value)
        elif isinstance(value, Mapping):
            yield from numbers(value, f"{name}.")
        elif isinstance(value, list):
            yield from numbers({str(n): part for n, part in enumerate(value)}, f"{name}.")


def side_by_side(
    a: Mapping[str, Any], b: Mapping[str, Any]
) -> list[tuple[str, float | None, float | None, float | None]]:
    """(name, value in A, value in B, B / A) of every number in either."""
    left, right = dict(numbers(a)), dict(numbers(b))
    rows = []
    for name in dict.fromkeys([*left, *right]):
        was, is_ = left.get(name), right.get(name)
        ratio = is_ / was if was and is_ is not None else None
        rows.append((name, was, is_, ratio))
    return rows
