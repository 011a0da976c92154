"""What the sampler makes of /metrics, where a figure needs more than its name."""

from datetime import datetime

from deploy.sampler import of_worker


def test_when_the_watchdog_looked_last_becomes_an_age() -> None:
    at = datetime(1970, 1, 1, 0, 16, 43)
    (sample,) = of_worker("saqshy_watchdog_checked_at_seconds 1000\n", "watchdog", at)
    assert (sample.source, sample.metric, sample.value) == ("watchdog", "watchdog_age_seconds", 3.0)


def test_an_age_is_never_negative() -> None:
    at = datetime(1970, 1, 1, 0, 16, 39)
    (sample,) = of_worker("saqshy_watchdog_checked_at_seconds 1000\n", "watchdog", at)
    assert sample.value == 0.0
