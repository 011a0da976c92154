"""The turnstiles of a few schools, from ClickHouse's rollups: now, and in earlier weeks.

Best effort: while ClickHouse is away, behind or new, the flow says nothing, and nothing waits for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from schemas.settings import ClickHouseSettings
from streams.verify.decide import COLLAPSED_TO, RUSH_LEAST, Flow

TROUBLE: Final = (ClickHouseError, OSError, EOFError)
ANSWER_S: Final = 3
MINUTE_S: Final = 60
WINDOW_S: Final = 5 * MINUTE_S
SETTLE_S: Final = 30
"""A pass is stored at the latest when one that came so long after it is, in Kafka's order."""

_NOW: Final = """
SELECT
    school,
    sumIf(went_out, bucket >= toDateTime(%(run_from)s, 'UTC')) AS exits,
    sumIf(came_in + went_out, bucket < toDateTime(%(calm_to)s, 'UTC')) AS passes
FROM flow_1m
WHERE school IN %(schools)s
    AND bucket BETWEEN toDateTime(%(calm_from)s, 'UTC') AND toDateTime(%(minute)s, 'UTC')
GROUP BY school
"""

# A week counts when there was flow within 6 h of this time: neither holidays nor a night. All seven
# buckets from 15 minutes before to 15 after must be there for the fewest passes to be more than none.
_WEEKS: Final = """
SELECT
    school,
    maxIf(exits, abs(off_s) <= 900) AS most_exits,
    if(countIf(abs(off_s) <= 900) = 7, minIf(passes, abs(off_s) <= 900), 0) AS fewest_passes
FROM
(
    SELECT
        school,
        intDiv(%(now)s + 21600 - toInt64(toUnixTimestamp(bucket)), 604800) AS week,
        toInt64(toUnixTimestamp(bucket)) - %(now)s + week * 604800 AS off_s,
        sum(went_out) AS exits,
        sum(came_in + went_out) AS passes
    FROM flow_5m
    WHERE school IN %(schools)s
        AND bucket >= toDateTime(%(now)s - 4 * 604800 - 21000, 'UTC')
        AND bucket <= toDateTime(%(now)s - 604800 + 21000, 'UTC')
    GROUP BY school, bucket
)
WHERE abs(off_s) <= 21000
GROUP BY school, week
HAVING sum(passes) > 0
"""

_ALL_HEARD: Final = """
SELECT school
FROM heartbeats
WHERE school IN %(schools)s
    AND kind = 'turnstile'
    AND kafka_time >= toDateTime64(%(calm_from)s - 600, 3, 'UTC')
GROUP BY school
HAVING uniqIf(device, kafka_time >= toDateTime64(%(settled)s, 3, 'UTC')) = uniq(device)
    AND maxIf(buffered, kafka_time >= toDateTime64(%(settled)s, 3, 'UTC')) = 0
"""

_ALL_STORED: Final = """
SELECT school
FROM
(
    SELECT school, any(kafka_partition) AS partition
    FROM passes
    WHERE school IN %(schools)s AND time >= toDateTime64(%(settled)s - 86400 * 8, 3, 'UTC')
    GROUP BY school
) AS of_school
INNER JOIN
(
    SELECT kafka_partition AS partition, count() AS later
    FROM passes
    WHERE kafka_time >= toDateTime64(%(settled)s, 3, 'UTC')
    GROUP BY partition
) AS stored USING (partition)
"""


def read_flow(settings: ClickHouseSettings, schools: Sequence[str], now_ms: int) -> dict[str, Flow]:
    """By school. Blocks for a few seconds at most. Raises any of TROUBLE."""
    minute_s = now_ms // 1000 // MINUTE_S * MINUTE_S
    calm_to_s = minute_s - MINUTE_S
    times = {
        "now": minute_s // WINDOW_S * WINDOW_S,
        "minute": minute_s,
        "run_from": minute_s - WINDOW_S + MINUTE_S,
        "calm_from": calm_to_s - WINDOW_S,
        "calm_to": calm_to_s,
        "settled": calm_to_s + SETTLE_S,
    }
    with Client(
        **settings.driver_kwargs()
        | {"connect_timeout": ANSWER_S, "send_receive_timeout": ANSWER_S},
        settings={"max_execution_time": ANSWER_S},
    ) as client:
        return _read(client, schools, times)


def _read(client: Any, schools: Sequence[str], times: dict[str, int]) -> dict[str, Flow]:
    asked = {"schools": tuple(schools), **times}
    now = {school: (exits, passes) for school, exits, passes in client.execute(_NOW, asked)}
    weeks: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for school, most_exits, fewest_passes in client.execute(_WEEKS, asked):
        weeks[school].append((most_exits, fewest_passes))
    few = [s for s, of in weeks.items() if _may_have_collapsed(now.get(s, (0, 0))[1], of)]
    sure: set[str] = set()
    if few:
        asked["schools"] = tuple(few)
        heard, stored = client.execute(_ALL_HEARD, asked), client.execute(_ALL_STORED, asked)
        sure = {school for (school,) in heard} & {school for (school,) in stored}
    return {
        school: Flow(*now.get(school, (0, 0)), times["calm_from"] * 1000, tuple(of), school in sure)
        for school, of in weeks.items()
    }


def _may_have_collapsed(passes: int, weeks: list[tuple[int, int]]) -> bool:
    fewest = min(passes for _, passes in weeks)
    return fewest >= RUSH_LEAST and passes * COLLAPSED_TO <= fewest
