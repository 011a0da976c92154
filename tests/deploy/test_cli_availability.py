"""Availability on a real engine, against days whose truth is known."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_driver import Client
from typer.testing import CliRunner

from deploy.cli.main import app
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, Settings

pytestmark = pytest.mark.broker

MONTH = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=5)
HOUR = timedelta(hours=1)


@pytest.fixture
def history(
    environment: Settings,
    clickhouse_server: ClickHouseSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["History"]:
    name = f"test_{tmp_path_factory.mktemp('database').name}"
    clickhouse = clickhouse_server.model_copy(update={"database": name})
    migrate(clickhouse)
    settings = environment.model_copy(update={"clickhouse": clickhouse})
    for key, value in settings.environment().items():
        monkeypatch.setenv(key, value)
    client = Client(**clickhouse.driver_kwargs())
    yield History(client)
    client.disconnect()


class History:
    def __init__(self, client: Client) -> None:
        self.client = client

    def registered(self, school: str, provider: str) -> None:
        self.client.execute(
            "INSERT INTO schools (school, region, district, provider, kafka_offset) VALUES",
            [(school, school[:5], "Centre", provider, 1)],
        )

    def has(self, school: str, vendors: dict[str, str]) -> None:
        """What the registry said; the lane stores it there, and ``schools`` follows."""
        kinds = [device.split("-")[0] for device in vendors]
        self.client.execute(
            "INSERT INTO registry (school, kafka_time, devices, device_kinds, device_vendors) VALUES",
            [(school, MONTH, list(vendors), kinds, list(vendors.values()))],
        )

    def said(self, school: str, device: str, status: str, since: datetime) -> None:
        row: dict[str, object] = {"school": school, "device": device, "status": status}
        row |= {"since": since, "decided": since + HOUR / 60, "kafka_time": since + HOUR / 60}
        self.client.execute(
            f"INSERT INTO status_history ({', '.join(row)}) VALUES", [tuple(row.values())]
        )


def asked(*arguments: str) -> tuple[int, list[dict[str, object]]]:
    ended = CliRunner().invoke(app, ["availability", "--month", "2026-03", "--json", *arguments])
    assert ended.exit_code in (0, 1), ended.output
    return ended.exit_code, json.loads(ended.stdout)["rows"]


def test_silence_counts_from_the_last_sign_of_life_within_the_month(history: History) -> None:
    history.registered("KZ-10-00001", "kt")
    history.registered("KZ-10-00002", "alatau")
    for school in ("KZ-10-00001", "KZ-10-00002"):
        history.said(school, "", "online", MONTH - 100 * HOUR)
    history.said("KZ-10-00001", "", "offline", MONTH + 10 * HOUR)
    history.said("KZ-10-00001", "", "online", MONTH + 84.4 * HOUR)
    code, rows = asked("--by", "provider", "--level", "99")
    assert code == 1
    assert [(row["name"], row["availability_pct"], row["met"]) for row in rows] == [
        ("kt", 90.0, False),
        ("alatau", 100.0, True),
    ]
    assert rows[0]["down_s"] == round(74.4 * 3600) and rows[0]["outages"] == 1
    assert asked("--by", "region")[1][0]["availability_pct"] == 95.0


def test_days_are_local_and_planned_work_counts_neither_way(history: History) -> None:
    history.registered("KZ-10-00001", "kt")
    history.said("KZ-10-00001", "gateway-1", "online", MONTH)
    history.said("KZ-10-00001", "gateway-1", "maintenance", MONTH + 12 * HOUR)
    history.said("KZ-10-00001", "gateway-1", "offline", MONTH + 18 * HOUR)
    history.said("KZ-10-00001", "gateway-1", "online", MONTH + 30 * HOUR)
    _, rows = asked("--by", "device", "--daily")
    days = {row["span"]: row for row in rows}
    assert days["2026-03-01"]["availability_pct"] == pytest.approx(66.6667)
    assert days["2026-03-01"]["planned_s"] == 6 * 3600
    assert days["2026-03-02"]["availability_pct"] == 75.0
    assert len(days) == 31 and days["2026-03-31"]["availability_pct"] == 100.0


def test_devices_are_told_apart_by_vendor_and_what_the_registry_lacks_is_unknown(
    history: History,
) -> None:
    history.has("KZ-10-00001", {"gateway-1": "Vendor A", "turnstile-1": "Vendor B"})
    history.registered("KZ-10-00002", "kt")
    history.said("KZ-10-00001", "", "offline", MONTH)
    for school, device, status in [
        ("KZ-10-00001", "gateway-1", "online"),
        ("KZ-10-00001", "turnstile-1", "offline"),
        ("KZ-10-00001", "button-9", "online"),
        ("KZ-10-00002", "gateway-1", "online"),
    ]:
        history.said(school, device, status, MONTH)
    code, rows = asked("--by", "vendor")
    assert code == 1
    assert {row["name"]: (row["availability_pct"], row["members"]) for row in rows} == {
        "Vendor A": (100.0, 1),
        "Vendor B": (0.0, 1),
        "": (100.0, 2),
    }


def test_a_school_that_nobody_heard_counts_for_nobody(history: History) -> None:
    history.registered("KZ-10-00001", "kt")
    history.said("KZ-10-00001", "", "unknown", MONTH)
    assert asked() == (0, [])


def test_a_month_that_is_none_is_refused() -> None:
    ended = CliRunner().invoke(app, ["availability", "--month", "2026-13"])
    assert ended.exit_code == 2 and "2026-11" in ended.stderr
