"""The expected texts are those of the ClickHouse data source's own tests (pkg/macros, 4.20)."""

from datetime import UTC, datetime

import pytest

from dashboards.queries.macros import ALL, BadMacro, Range, expand, substitute

SPAN = Range(
    datetime(2014, 11, 12, 11, 45, 26, 123_000, UTC),
    datetime(2015, 11, 12, 11, 45, 26, 456_000, UTC),
    60_000,
)
FROM, TO = "toDateTime(1415792726)", "toDateTime(1447328726)"
FROM_MS, TO_MS = (
    "fromUnixTimestamp64Milli(1415792726123)",
    "fromUnixTimestamp64Milli(1447328726456)",
)


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        (
            "where $__timeFilter(cast(sth as timestamp) )",
            f"where cast(sth as timestamp) >= {FROM} AND cast(sth as timestamp) <= {TO}",
        ),
        ("$__timeFilter_ms(c)", f"c >= {FROM_MS} AND c <= {TO_MS}"),
        ("( d >= $__fromTime ) and ( d <= $__toTime )", f"( d >= {FROM} ) and ( d <= {TO} )"),
        ("d >= $__fromTime_ms and d <= $__toTime_ms", f"d >= {FROM_MS} and d <= {TO_MS}"),
        ("$__dateFilter(d)", "d >= toDate('2014-11-12') AND d <= toDate('2015-11-12')"),
        (
            "$__dateTimeFilter(d, t)",
            "(d >= toDate('2014-11-12') AND d <= toDate('2015-11-12'))"
            f" AND (t >= {FROM} AND t <= {TO})",
        ),
        ("$__timeInterval(col)", "toStartOfInterval(toDateTime(col), INTERVAL 60 second)"),
        (
            "$__timeInterval_ms(col)",
            "toStartOfInterval(toDateTime64(col, 3), INTERVAL 60000 millisecond)",
        ),
        ("$__interval_s", "60"),
        ("$__timeFrom(ts)", f"ts >= {FROM}"),
        ("$__timeTo(ts)", f"ts <= {TO}"),
        ("$__timeGroup(ts, 5m)", "toStartOfInterval(toDateTime(ts), INTERVAL 300 second)"),
        ("$__timeGroup(ts, '1h')", "toStartOfInterval(toDateTime(ts), INTERVAL 3600 second)"),
        (
            "SELECT $__timeInterval($__fromTime) AS a",
            f"SELECT toStartOfInterval(toDateTime({FROM}), INTERVAL 60 second) AS a",
        ),
        (
            "$__timeFilter(coalesce(closed_at, $__toTime))",
            f"coalesce(closed_at, {TO}) >= {FROM} AND coalesce(closed_at, {TO}) <= {TO}",
        ),
        ("msg = 'it\\'s -- fine' and $__fromTime", f"msg = 'it\\'s -- fine' and {FROM}"),
        ("msg = 'a\\'/*x' and $__toTime", f"msg = 'a\\'/*x' and {TO}"),
        ("`it's` = 'a--b' AND $__timeFilter(t)", f"`it's` = 'a--b' AND t >= {FROM} AND t <= {TO}"),
        ("$doc$a--b$doc$ = x AND $__toTime", f"$doc$a--b$doc$ = x AND {TO}"),
        ("$__unknown(x)", "$__unknown(x)"),
    ],
)
def test_it_expands_as_the_data_source_does(sql: str, expanded: str) -> None:
    assert expand(sql, SPAN) == expanded


@pytest.mark.parametrize(
    "sql",
    [
        "$__timeFilter()",
        "$__dateTimeFilter(d)",
        "$__timeInterval(a, b)",
        "$__timeGroup(ts)",
        "$__timeGroup(ts, not-a-duration)",
        "$__timeFilter(a",
    ],
)
def test_it_refuses_wrong_arguments(sql: str) -> None:
    with pytest.raises(BadMacro):
        expand(sql, SPAN)


def test_an_interval_below_a_second_becomes_one() -> None:
    assert expand("$__interval_s", Range(SPAN.start, SPAN.end, 100)) == "1"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["KZ-71", "KZ-75"], "WHERE region IN ('KZ-71','KZ-75')"),
        ([ALL], "WHERE 1=1"),
        ([""], "WHERE 1=1"),
        (["it's"], "WHERE region IN ('it\\'s')"),
    ],
)
def test_it_puts_in_the_chosen_values(chosen: list[str], expected: str) -> None:
    sql = "WHERE $__conditionalAll(region IN (${region:singlequote}), $region)"
    assert substitute(sql, {"region": chosen}) == expected


def test_it_puts_in_plain_variables_and_leaves_macros() -> None:
    text = substitute("name_$lang, '$school', $__timeFilter(t)", {"lang": ["kk"], "school": ["X"]})
    assert text == "name_kk, 'X', $__timeFilter(t)"
