import pytest

from streams.gateway import panics


@pytest.fixture(autouse=True)
def a_disk_may_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a second, as on a full machine, is no broken one here; a test of that says so."""
    monkeypatch.setattr(panics, "DISK_TIMEOUT_S", 20.0)
