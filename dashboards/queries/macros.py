"""Grafana's text replacements, done as its ClickHouse data source does them.

Two steps, in this order: the browser puts in the dashboard's variables (and ``$__conditionalAll``),
then the data source's backend expands the ``$__`` macros. Alert rules get the second step only.
The expected texts in the tests are those of the plugin's own tests (grafana/clickhouse-datasource,
pkg/macros, 4.20).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.times import utc

ALL: Final = "$__all"

_QUOTED_OR_COMMENT: Final = re.compile(
    r"'(?:\\.|''|[^'\\])*'|`[^`]*`|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL
)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")


class BadMacro(ValueError):
    """A macro with the wrong arguments, as the plugin would refuse it."""


@dataclass(frozen=True, slots=True)
class Range:
    """The dashboard's time range, and the bucket that Grafana chose for its width in pixels."""

    start: datetime
    end: datetime
    interval_ms: int = 60_000

    @property
    def start_ms(self) -> int:
        return round(self.start.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        return round(self.end.timestamp() * 1000)


Macro = Callable[[Range, Sequence[str]], str]


def expand(sql: str, span: Range) -> str:
    """The SQL as the data source sends it to ClickHouse.

    Raises BadMacro for a wrong number of arguments or an unreadable interval. An unknown macro
    stays, so that ClickHouse says what is wrong.
    """
    text = _without_comments(sql)
    while (found := _last_macro(text)) is not None:
        name, begin, end, arguments = found
        text = text[:begin] + MACROS[name](span, arguments) + text[end:]
    return text


def substitute(sql: str, variables: Mapping[str, Sequence[str]]) -> str:
    """The SQL with the dashboard's variables put in, as the browser does it.

    A variable's value is a list of the chosen ones, ``[ALL]`` for "All". Raises KeyError for an
    unknown variable.
    """
    text = _conditional_all(sql, variables)
    return _VARIABLE.sub(lambda match: _put_in(match, variables), text)


def _put_in(match: re.Match[str], variables: Mapping[str, Sequence[str]]) -> str:
    values = variables[match[1] or match[3]]
    if match[2] == "singlequote":
        return ",".join("'" + value.replace("'", "\\'") + "'" for value in values)
    return ",".join(values)


def _conditional_all(sql: str, variables: Mapping[str, Sequence[str]]) -> str:
    macro = "$__conditionalAll"
    text = sql
    while (begin := text.rfind(macro + "(")) >= 0:
        arguments, end = _arguments(text, begin + len(macro))
        if len(arguments) != 2:
            raise BadMacro(f"{macro} takes a condition and a variable, not {len(arguments)}")
        chosen = variables[arguments[1].strip().removeprefix("$")]
        everything = not any(chosen) or ALL in chosen
        text = text[:begin] + ("1=1" if everything else arguments[0].strip()) + text[end:]
    return text


def _without_comments(sql: str) -> str:
    return _QUOTED_OR_COMMENT.sub(lambda m: "" if m[0][:2] in ("--", "/*") else m[0], sql)


def _last_macro(text: str) -> tuple[str, int, int, list[str]] | None:
    """The last macro of the text: inner ones stand behind outer ones, so they come first."""
    quoted = [match.span() for match in _QUOTED_OR_COMMENT.finditer(text)]
    for match in reversed(list(re.finditer(r"\$__(\w+)", text))):
        if match[1] not in MACROS or any(a <= match.start() < b for a, b in quoted):
            continue
        if text[match.end() : match.end() + 1] == "(":
            arguments, end = _arguments(text, match.end())
            return match[1], match.start(), end, arguments
        return match[1], match.start(), match.end(), []
    return None


def _arguments(text: str, begin: int) -> tuple[list[str], int]:
    """The arguments between the bracket at ``begin`` and its partner, and where that one ends."""
    quoted = {i for m in _QUOTED_OR_COMMENT.finditer(text) for i in range(*m.span())}
    depth, start, arguments = 0, begin + 1, []
    for i in range(begin, len(text)):
        if i in quoted:
            continue
        if text[i] == "(":
            depth += 1
        elif text[i] == ")":
            depth -= 1
        if depth == 0 or (depth == 1 and text[i] == ","):
            arguments.append(text[start:i].strip())
            start = i + 1
        if depth == 0:
            return [argument for argument in arguments if argument], i + 1
    raise BadMacro(f"a bracket is not closed: {text[begin : begin + 60]}")


def _seconds(ms: int) -> str:
    return f"toDateTime({ms // 1000})"


def _milliseconds(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({ms})"


def _date(ms: int) -> str:
    return f"toDate('{utc(ms):%Y-%m-%d}')"


def _needs(name: str, wanted: int, arguments: Sequence[str]) -> None:
    if len(arguments) != wanted:
        raise BadMacro(f"$__{name} takes {wanted} argument(s), not {len(arguments)}")


def _between(name: str, literal: Callable[[int], str]) -> Macro:
    def macro(span: Range, arguments: Sequence[str]) -> str:
        _needs(name, 1, arguments)
        column = arguments[0]
        return f"{column} >= {literal(span.start_ms)} AND {column} <= {literal(span.end_ms)}"

    return macro


def _edge(name: str, sign: str) -> Macro:
    def macro(span: Range, arguments: Sequence[str]) -> str:
        _needs(name, 1, arguments)
        return f"{arguments[0]} {sign} {_seconds(span.start_ms if sign == '>=' else span.end_ms)}"

    return macro


def _date_time_filter(span: Range, arguments: Sequence[str]) -> str:
    _needs("dateTimeFilter", 2, arguments)
    day, moment = arguments
    by_day = _between("dateFilter", _date)(span, [day])
    by_moment = _between("timeFilter", _seconds)(span, [moment])
    return f"({by_day}) AND ({by_moment})"


def _time_interval(span: Range, arguments: Sequence[str]) -> str:
    _needs("timeInterval", 1, arguments)
    return _buckets(arguments[0], max(span.interval_ms // 1000, 1))


def _time_interval_ms(span: Range, arguments: Sequence[str]) -> str:
    _needs("timeInterval_ms", 1, arguments)
    width = f"INTERVAL {max(span.interval_ms, 1)} millisecond"
    return f"toStartOfInterval(toDateTime64({arguments[0]}, 3), {width})"


def _time_group(_span: Range, arguments: Sequence[str]) -> str:
    _needs("timeGroup", 2, arguments)
    period = arguments[1].strip("'\"")
    parts = _DURATION.findall(period)
    if "".join(number + unit for number, unit in parts) != period or not parts:
        raise BadMacro(f"$__timeGroup can't read the interval {period!r}")
    width_s = round(sum(float(number) * _UNIT_S[unit] for number, unit in parts))
    if width_s <= 0:
        raise BadMacro(f"$__timeGroup needs a positive interval, not {period!r}")
    return _buckets(arguments[0], width_s)


def _buckets(column: str, width_s: int) -> str:
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {width_s} second)"


MACROS: Final[Mapping[str, Macro]] = {
    "timeFilter": _between("timeFilter", _seconds),
    "timeFilter_ms": _between("timeFilter_ms", _milliseconds),
    "dateFilter": _between("dateFilter", _date),
    "dateTimeFilter": _date_time_filter,
    "dt": _date_time_filter,
    "timeFrom": _edge("timeFrom", ">="),
    "timeTo": _edge("timeTo", "<="),
    "fromTime": lambda span, _: _seconds(span.start_ms),
    "toTime": lambda span, _: _seconds(span.end_ms),
    "fromTime_ms": lambda span, _: _milliseconds(span.start_ms),
    "toTime_ms": lambda span, _: _milliseconds(span.end_ms),
    "timeInterval": _time_interval,
    "timeInterval_ms": _time_interval_ms,
    "timeGroup": _time_group,
    "interval_s": lambda span, _: str(max(span.interval_ms // 1000, 1)),
}
