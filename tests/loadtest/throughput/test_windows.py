import pytest
import typer

from loadtest.throughput.scale import Shape, flat, ratio, shapes
from loadtest.throughput.stack import Aim
from loadtest.throughput.watched import Cost, Sample, cost
from loadtest.throughput.windows import Window, summary
from schemas.settings import KafkaSettings, Settings


def test_start_up_and_first_block_are_no_part_of_an_event_s_cost() -> None:
    samples = [Sample(10.0, 1_000, 2.0), Sample(11.0, 2_000, 2.1), Sample(12.0, 3_000, 2.2)]
    found = cost(samples, began_s=7.0, peak_bytes=5_000_000)
    assert found.events_per_s == 1_000
    assert found.cpu_us == pytest.approx(100)
    assert found.whole_cpu_us == pytest.approx(2.2 / 3_000 * 1e6)
    assert found.first_rows_s == 3.0
    assert found.memory_mb == 5.0


def test_a_window_that_was_over_at_first_sight_is_refused() -> None:
    with pytest.raises(ValueError, match="preload more"):
        cost([Sample(10.0, 1_000, 2.0)], 7.0, 0)


def window(peer: str, per_s: float, wrong: tuple[str, ...] = ()) -> Window:
    return Window(peer, Cost(1, 1.0, per_s, 5.0, 6.0, 1.0, 100.0), wrong)


def test_a_summary_has_medians_and_the_spread() -> None:
    found = summary([window("a", 10), window("b", 1), window("a", 30), window("a", 20)])
    assert found["events_per_s"] == {"a": 20, "b": 1}
    assert found["spread"] == {"a": [10, 30], "b": [1, 1]}


def test_one_window_that_isn_t_exact_is_enough() -> None:
    found = summary([window("a", 10), window("a", 10, ("a gap",)), window("b", 1)])
    assert found["exact_by_name"] == {"a": False, "b": True}
    assert found["wrong"] == ["a: a gap"]


def test_flat_is_within_a_fifth() -> None:
    points = [{"cpu_us_per_event": cost} for cost in (5.0, 5.5, 6.0)]
    assert ratio(points) == 1.2
    assert flat(points)
    assert not flat([*points, {"cpu_us_per_event": 6.1}])


def test_the_fixed_points_keep_their_partitions() -> None:
    growing, spread = shapes(100_000, 3, 8)
    assert growing == [Shape(1_000, 3, 8), Shape(10_000, 3, 8), Shape(100_000, 3, 8)]
    assert spread[-1].schools * spread[-1].devices == 100_000


def test_a_broker_elsewhere_is_not_loaded_unless_it_is_ours() -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap="kafka.example:9092", insecure=True))
    Aim(external=False).check(settings)
    with pytest.raises(typer.BadParameter, match=r"--i-own kafka\.example"):
        Aim(external=True).check(settings)
    Aim(external=True, owned=("kafka.example",)).check(settings)
