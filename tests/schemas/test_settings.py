import json
import os
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.settings import ClickHouseSettings, KafkaSettings, Settings, stack_file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no variable of ours."""
    for name in [name for name in os.environ if name.startswith("SAQSHY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _stack_says(folder: Path, **settings: object) -> None:
    path = stack_file(folder / "var")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(settings))


def test_without_any_file_everything_is_on_this_machine(folder: Path) -> None:
    settings = Settings()
    assert settings.kafka.bootstrap == "127.0.0.1:9092"
    assert settings.clickhouse.host == settings.console.host == "127.0.0.1"


def test_it_finds_the_embedded_stack(folder: Path) -> None:
    _stack_says(folder, kafka={"bootstrap": "127.0.0.1:5001"}, clickhouse={"port": 5002})
    settings = Settings()
    assert (settings.kafka.bootstrap, settings.clickhouse.port) == ("127.0.0.1:5001", 5002)


def test_it_finds_the_embedded_stack_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "var" / "run").mkdir(parents=True)
    stack_file(folder / "var").write_text('{"console": {"port": 5003}}')
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("SAQSHY_VAR", str(folder / "var"))
    assert Settings().console.port == 5003
    assert Settings().var == folder / "var"


def test_the_file_wins_over_the_stack_and_the_environment_over_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stack_says(
        folder, kafka={"bootstrap": "127.0.0.1:1", "partitions": 3, "username": "of-the-stack"}
    )
    (folder / "saqshy.toml").write_text('[kafka]\nbootstrap = "127.0.0.1:2"\npartitions = 5\n')
    monkeypatch.setenv("SAQSHY_KAFKA__BOOTSTRAP", "127.0.0.1:3")
    kafka = Settings().kafka
    assert (kafka.bootstrap, kafka.partitions, kafka.username) == (
        *("127.0.0.1:3", 5, "of-the-stack"),
    )


def test_a_password_comes_from_its_file_at_each_use(folder: Path) -> None:
    path = folder / "password"
    path.write_text("first\n")
    settings = ClickHouseSettings(password_file=path)
    assert settings.driver_kwargs()["password"] == "first"
    path.write_text("second\n")
    assert settings.driver_kwargs()["password"] == "second"


def test_a_password_in_the_environment_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAQSHY_CLICKHOUSE__PASSWORD", "s3cret")
    settings = Settings()
    assert settings.clickhouse.secret() == "s3cret"
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()


def test_a_password_file_that_is_gone_is_an_error_not_an_empty_password(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KafkaSettings(password_file=folder / "gone").secret()


def test_a_child_process_gets_the_same_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        var=folder / "elsewhere",
        kafka=KafkaSettings.model_validate(
            {"bootstrap": "localhost:1", "password": "p", "partitions": 2}
        ),
        clickhouse=ClickHouseSettings(password_file=folder / "file", secure=True),
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAQSHY_KAFKA__PARTITIONS", "0"),
        ("SAQSHY_KAFKA__SECURITY_PROTOCOL", "plain"),
        ("SAQSHY_CLICKHOUSE__PORT", "nine thousand"),
        ("SAQSHY_CLICKHOUSE__INSERT_TIMEOUT_S", "0"),
    ],
)
def test_nonsense_is_refused_at_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_each_kafka_client_logs_in_the_same_way(folder: Path) -> None:
    kafka = KafkaSettings.model_validate(
        {"security_protocol": "SASL_SSL", "username": "u", "password": "p"}
    )
    assert kafka.aiokafka_kwargs()["sasl_plain_password"] == "p"
    assert kafka.kafka_python_kwargs()["sasl_mechanism"] == "SCRAM-SHA-256"
    assert kafka.kafka_python_kwargs()["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert kafka.confluent_config()["sasl.username"] == "u"


def test_a_broker_without_login_is_asked_for_none(folder: Path) -> None:
    assert set(KafkaSettings().aiokafka_kwargs()) == {"bootstrap_servers", "security_protocol"}
