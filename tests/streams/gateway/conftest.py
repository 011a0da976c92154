import pytest

from streams.gateway import direct, panics


@pytest.fixture(autouse=True)
def disk_and_receivers_may_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk or a receiver that takes a second, as on a full machine, is no broken one here; a test of that
    says so."""
    monkeypatch.setattr(panics, "DISK_TIMEOUT_S", 20.0)
    monkeypatch.setattr(direct, "FIRST_TIMEOUT_S", 20.0)
    monkeypatch.setattr(direct, "TIMEOUT_S", 20.0)
