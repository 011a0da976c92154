import pytest
import typer
from typer.testing import CliRunner

from loadtest.__main__ import app
from loadtest.simulator.target import check_target, duration_s, local_time_s


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("60s", 60), ("1.5m", 90), ("2h", 7200), ("60.0", 60)]
)
def test_it_reads_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "5 days", "s"])
def test_it_explains_what_a_duration_is(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="say 60s"):
        duration_s(text)


def test_it_reads_times_of_day() -> None:
    assert local_time_s("07:40") == 7 * 3600 + 40 * 60
    with pytest.raises(typer.BadParameter, match="say 07:40"):
        local_time_s("25:00")


@pytest.mark.parametrize("here", ["127.0.0.1:9092", "localhost:1,[::1]:9092", "127.1.2.3:5"])
def test_it_may_load_this_machine(here: str) -> None:
    check_target(here, [])


def test_it_loads_another_machine_only_when_told_that_it_is_ours() -> None:
    with pytest.raises(typer.BadParameter, match=r"--i-own kafka\.example"):
        check_target("127.0.0.1:9092,kafka.example:9092", [])
    check_target("127.0.0.1:9092,kafka.example:9092", ["kafka.example"])


def test_the_command_refuses_before_it_connects() -> None:
    refused = CliRunner().invoke(app, ["simulate", "--kafka", "kafka.example:9092"])
    assert refused.exit_code == 2
    assert "--i-own" in refused.output


def test_a_peak_needs_an_end() -> None:
    refused = CliRunner().invoke(app, ["simulate", "--kafka", "127.0.0.1:1", "--peak", "10"])
    assert refused.exit_code == 2
    assert "--for" in refused.output
