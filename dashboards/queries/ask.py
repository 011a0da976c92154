"""A named query as text for ClickHouse, as Grafana would send it: for the console, tests and measurements."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dashboards.queries.macros import ALL, Range, expand, substitute
from dashboards.queries.query import Query, Shape

EVERYTHING: Final[Mapping[str, Sequence[str]]] = {
    "region": [ALL],
    "district": [ALL],
    "provider": [ALL],
    "lang": ["kk"],
    "school": [""],
}
"""What the dashboards' variables are before anybody chooses."""

_CHOICE: Final = re.compile(r"[^'\\\\]*")


def text_of(query: Query, span: Range, chosen: Mapping[str, Sequence[str]] | None = None) -> str:
    """The SQL of ``query`` over ``span``, with these variables chosen and else everything.

    Raises ValueError for a chosen value with a quote or a backslash, which could end the text that it
    stands in; KeyError for a variable that does not exist.
    """
    chosen = chosen or {}
    for name, values in chosen.items():
        if any(_CHOICE.fullmatch(value) is None for value in values):
            raise ValueError(f"{name} may hold no quotes: {values!r}")
    if query.shape == Shape.ALERT:  # a rule knows no variables
        return expand(query.sql, span)
    return expand(substitute(query.sql, {**EVERYTHING, **chosen}), span)
