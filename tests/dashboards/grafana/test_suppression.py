"""Small counts of children's reports and crimes can't be recovered from what is published."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from tests.dashboards.grafana.conftest import Asked
from tests.dashboards.grafana.day_counts import months_back
from tests.dashboards.grafana.engine import Engine
from tests.dashboards.grafana.truth import stamp

pytestmark = pytest.mark.broker

Splits = dict[tuple[str, str, str], dict[str, int | None]]
"""(month, measure, dimension) -> cell -> count, None where it is hidden."""


def published(engine: Engine) -> Splits:
    splits: Splits = defaultdict(dict)
    answer = engine.rows("SELECT month, measure, dimension, cell, events FROM published_incidents")
    for month, measure, dimension, cell, events in answer["data"]:
        splits[month, measure, dimension][cell] = events
    return splits


def test_it_publishes_true_counts_or_none(asked: Asked) -> None:
    shown = 0
    for (month, measure, dimension), cells in published(asked.engine).items():
        for cell, events in cells.items():
            key = (datetime.fromisoformat(month).date(), measure, dimension, cell)
            if events is not None:
                shown += 1
                assert events == asked.day.incidents[key] and events >= 5
    assert shown > 200


def test_it_hides_every_count_below_five(asked: Asked) -> None:
    splits = published(asked.engine)
    for (month, measure, dimension, cell), count in asked.day.incidents.items():
        if count < 5:
            assert splits.get((str(month), measure, dimension), {}).get(cell) is None


def test_it_publishes_no_month_before_five_days_after_its_end(asked: Asked) -> None:
    newest = max(month for month, _, _ in published(asked.engine))
    settled = (asked.day.now + timedelta(hours=5) - timedelta(days=5)).date().replace(day=1)
    assert newest == str((settled - timedelta(days=1)).replace(day=1))


def test_sums_and_differences_recover_no_hidden_count(asked: Asked) -> None:
    """All that is published of one month's measure as equations: a hidden count would be recovered
    if it were a combination of them, that is if adding it raised the rank no further."""
    by_month: dict[tuple[str, str], Splits] = defaultdict(dict)
    for key, cells in published(asked.engine).items():
        by_month[key[:2]][key] = cells
    attacked = 0
    for splits in by_month.values():
        unknowns = [
            (dimension, cell)
            for (_, _, dimension), cells in splits.items()
            if dimension != "all"
            for cell in cells
        ]
        index = {unknown: i for i, unknown in enumerate(unknowns)}
        equations = []
        (total,) = next(c for (_, _, d), c in splits.items() if d == "all").values()
        dimensions = [d for _, _, d in splits if d != "all"]
        sums = [_row(index, [u for u in unknowns if u[0] == d]) for d in dimensions]
        if total is not None:
            equations += sums
        else:  # not known, but each split adds up to the same
            equations += [first - second for first, second in pairwise(sums)]
        hidden = []
        for (_, _, dimension), cells in splits.items():
            for cell, events in cells.items():
                if dimension == "all":
                    continue
                if events is None:
                    hidden.append((dimension, cell))
                else:
                    equations.append(_row(index, [(dimension, cell)]))
        matrix = np.array(equations or [np.zeros(len(index))])
        rank = np.linalg.matrix_rank(matrix)
        for unknown in hidden:
            attacked += 1
            more = np.vstack([matrix, _row(index, [unknown])])
            assert np.linalg.matrix_rank(more) == rank + 1, f"{unknown} is recovered"
    assert attacked > 500


def _row(index: dict[tuple[str, str], int], unknowns: list[tuple[str, str]]) -> np.ndarray:
    row = np.zeros(len(index))
    for unknown in unknowns:
        row[index[unknown]] = 1
    return row


CHANNELS = ("qr", "phone", "staff")


@pytest.mark.parametrize("seed", range(3))
def test_an_attacker_who_knows_the_rule_can_exclude_no_small_count(seed: int) -> None:
    """Each of 0 to 4 stays possible for every hidden small count: there are counts of the other
    hidden cells for which the rule hides the very same cells. All possible counts are tried."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    months = [str(month) for month in months_back(now, 30)[2:]]
    truth = {
        month: {channel: rng.choice([0, 1, 2, 3, 4, 5, 6, 9, 11, 30]) for channel in CHANNELS}
        for month in months
    }
    engine = Engine()
    engine.insert("incidents", _reports(truth, now))
    splits = published(engine)
    order = {
        (month, channel): rank
        for month, channel, rank in engine.rows(
            "SELECT toString(month), cell, cityHash64(month, cell) AS rank "
            "FROM published_incidents WHERE measure = 'reports' AND dimension = 'channel'"
        )["data"]
    }
    engine.close()
    attacked = 0
    for month in months:
        total = splits[month, "reports", "all"]["all"]
        cells = splits[month, "reports", "channel"]
        ranks = {channel: int(order[month, channel]) for channel in CHANNELS}
        assert {c for c, n in cells.items() if n is None} == _hidden_by_rule(truth[month], ranks)
        if total is None:
            continue
        hidden = [cell for cell, events in cells.items() if events is None]
        shown = {cell: events for cell, events in cells.items() if events is not None}
        rest = total - sum(shown.values())
        possible: dict[str, set[int]] = defaultdict(set)
        for guess in product(range(rest + 1), repeat=max(len(hidden) - 1, 0)):
            if not hidden or sum(guess) > rest:
                continue
            counts = {**shown, **dict(zip(hidden, (*guess, rest - sum(guess)), strict=True))}
            if _hidden_by_rule(counts, ranks) == set(hidden):
                for cell in hidden:
                    possible[cell].add(counts[cell])
        for cell in hidden:
            if truth[month][cell] < 5:
                attacked += 1
                assert set(range(5)) <= possible[cell], (month, cell, cells, possible[cell])
    assert attacked > 10


def _hidden_by_rule(counts: dict[str, int], ranks: dict[str, int]) -> set[str]:
    """The rule of 012_published_incidents.sql, in other words."""
    if sum(counts.values()) < 10:
        return set(counts)
    hidden = [cell for cell, n in counts.items() if n < 5]
    spare = sorted((cell for cell, n in counts.items() if n >= 5), key=ranks.__getitem__)
    while hidden and spare and (len(hidden) < 2 or sum(counts[cell] for cell in hidden) < 10):
        hidden.append(spare.pop(0))
    return set(hidden)


def _reports(truth: dict[str, dict[str, int]], now: datetime) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = []
    for month, counts in truth.items():
        for channel, count in counts.items():
            for _ in range(count):
                reports.append(
                    {
                        "kafka_partition": 0,
                        "kafka_offset": len(reports),
                        "kafka_time": stamp(now),
                        "school": "KZ-71-00001",
                        "time": f"{month[:8]}10 06:00:00.000",
                        "type": "incident.reported",
                        "channel": channel,
                        "category": "bullying",
                    }
                )
    return reports
