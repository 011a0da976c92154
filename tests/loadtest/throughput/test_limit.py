from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from loadtest.throughput.limit import Step, search
from loadtest.throughput.plot import chart, nice


def good_below(knee: int) -> Callable[[int], Step]:
    return lambda rate: Step(rate, rate <= knee, "system", None)


def test_the_knee_is_closed_in_upon_from_both_sides() -> None:
    steps, knee = search(good_below(75_000), start=30_000, growth=1.5, most=12)
    assert [step.rate for step in steps][:4] == [30_000, 45_000, 67_500, 101_250]
    assert knee is not None
    assert knee <= 75_000
    assert min(step.rate for step in steps if not step.good) <= knee * 1.1


def test_a_first_rate_that_is_too_much_has_no_knee() -> None:
    steps, knee = search(good_below(100), start=1_000, growth=2, most=5)
    assert (len(steps), knee) == (1, None)


def test_steps_are_bounded() -> None:
    steps, knee = search(good_below(10**9), start=1_000, growth=2, most=4)
    assert (len(steps), knee) == (4, 8_000)


def test_a_chart_is_well_formed_and_shows_every_line() -> None:
    text = chart("a & b", "x", "y", {"p50": [(1, 2), (3, 4)], "p99": [(1, 9)]}, bound=5, mark=2)
    root = ElementTree.fromstring(text)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    assert "a & b" in {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        chart("t", "x", "y", {"p50": []})


@pytest.mark.parametrize(
    ("value", "axis"), [(0, 1), (0.4, 1), (1, 1), (1.5, 2), (47, 50), (51, 100)]
)
def test_an_axis_ends_at_a_round_number(value: float, axis: float) -> None:
    assert nice(value) == axis
