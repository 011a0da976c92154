import base64
import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from deploy.cli.dlq import since_ms
from deploy.cli.main import app
from schemas.settings import Settings
from schemas.topics import TOPICS
from tests.deploy.test_dead_letters import Bury, bury, producer  # noqa: F401

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("90s", datetime(2026, 1, 31, 7, 58, 30, tzinfo=UTC)),
        ("15m", datetime(2026, 1, 31, 7, 45, tzinfo=UTC)),
        ("2h", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("3d", datetime(2026, 1, 28, 8, tzinfo=UTC)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T05:00:00+05:00", datetime(2026, 1, 30, tzinfo=UTC)),
        ("999999d", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, then: datetime) -> None:
    if text == "999999d":
        with pytest.raises(OverflowError):
            since_ms(text, NOW)
        return
    assert since_ms(text, NOW) == int(then.timestamp() * 1000)


@pytest.mark.parametrize("text", ["yesterday", "", "-1h", "1w", "999999d"])
def test_another_since_is_refused_with_an_example(run: CliRunner, text: str) -> None:
    ended = run.invoke(app, ["dlq", "list", "--since", text])
    assert ended.exit_code == 2
    assert "90s" in ended.stderr


def test_a_replay_of_everything_must_be_meant(run: CliRunner) -> None:
    ended = run.invoke(app, ["dlq", "replay", "--yes"])
    assert ended.exit_code == 2
    assert "--reason" in ended.stderr


def test_an_unknown_topic_is_refused_with_those_there_are(run: CliRunner) -> None:
    ended = run.invoke(app, ["dlq", "list", "--topic", "passes"])
    assert ended.exit_code == 2
    assert "saqshy.passes" in ended.stderr


@pytest.mark.broker
def test_without_clickhouse_the_list_comes_from_kafka(
    run: CliRunner,
    environment: Settings,
    bury: Bury,  # noqa: F811
) -> None:
    origin = bury(b"x", reason="not_json", path="/card", detail="no [bold]markup[/]")
    bury(b"y", reason="invalid")
    listed = run.invoke(app, ["dlq", "list", "--reason", "not_json", "--since", "1h", "--json"])
    assert listed.exit_code == 0
    document = json.loads(listed.stdout)
    assert document["source"] == "kafka"
    assert {one["reason"] for one in document["dead_letters"]} == {"not_json"}
    table = run.invoke(app, ["dlq", "list", "--since", "1h"]).stdout
    (line,) = [line for line in table.splitlines() if str(origin) in line]
    assert "no [bold]markup[/]" in line


@pytest.mark.broker
def test_show_gives_the_exact_bytes_and_logs_the_look(
    run: CliRunner,
    environment: Settings,
    bury: Bury,  # noqa: F811
) -> None:
    value = b'{"text": "\x1b[2J \xff"}'
    origin = str(bury(value))
    shown = json.loads(run.invoke(app, ["dlq", "show", origin, "--json"]).stdout)
    assert base64.b64decode(shown["value_base64"]) == value
    assert shown["genuine"] and shown["reason"] == "invalid"
    (look,) = (environment.var / "log" / "dlq-access.jsonl").read_text().splitlines()
    assert json.loads(look)["origin"] == origin
    for_people = run.invoke(app, ["dlq", "show", origin]).stdout
    assert "\\x1b[2J \\xff" in for_people and "\x1b" not in for_people


@pytest.mark.broker
def test_nothing_is_shown_that_cannot_be_logged(
    run: CliRunner,
    environment: Settings,
    bury: Bury,  # noqa: F811
) -> None:
    origin = str(bury(b"secret of a child"))
    (environment.var / "log").parent.mkdir(parents=True)
    (environment.var / "log").write_text("a file where the folder should be")
    ended = run.invoke(app, ["dlq", "show", origin])
    assert ended.exit_code == 1
    assert "secret" not in ended.output


@pytest.mark.broker
def test_replay_says_first_and_sends_with_yes(
    run: CliRunner,
    environment: Settings,
    bury: Bury,  # noqa: F811
) -> None:
    origin = str(bury(b"again"))

    def outcome(*options: str) -> str:
        ended = run.invoke(app, ["dlq", "replay", origin, "--json", *options])
        assert ended.exit_code == 0
        (letter,) = json.loads(ended.stdout)["letters"]
        return str(letter["outcome"])

    assert outcome() == "would be sent"
    assert outcome("--yes") == "sent"
    assert outcome("--yes") == "replayed before"
    rehearsed = run.invoke(app, ["dlq", "replay", "--reason", "invalid", "--since", "1h"])
    assert "Nothing was sent" in rehearsed.stdout


@pytest.mark.broker
def test_what_cannot_be_replayed_is_an_exit_code(
    run: CliRunner,
    environment: Settings,
    bury: Bury,  # noqa: F811
) -> None:
    ended = run.invoke(app, ["dlq", "replay", str(bury(b"?", None))])
    assert ended.exit_code == 1
    assert "key unknown" in ended.stdout


@pytest.mark.broker
def test_topics_and_status_see_the_broker(run: CliRunner, environment: Settings) -> None:
    assert run.invoke(app, ["topics", "create"]).exit_code == 0
    assert json.loads(run.invoke(app, ["topics", "check", "--json"]).stdout) == {"mismatches": []}
    parts = json.loads(run.invoke(app, ["status", "--json"]).stdout)
    assert parts["kafka"]["up"]
    assert parts["kafka"]["facts"]["mismatches"] == 0


@pytest.mark.broker
def test_a_mismatch_is_an_exit_code_and_says_what_to_do(
    run: CliRunner, environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = environment.kafka.model_copy(update={"partitions": 5})
    changed = environment.model_copy(update={"kafka": other})
    for name, value in changed.environment().items():
        monkeypatch.setenv(name, value)
    ended = run.invoke(app, ["topics", "check"])
    assert ended.exit_code == 1
    assert "SAQSHY_KAFKA__PARTITIONS=2" in ended.stdout
    checks = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)["checks"]
    co_read = sum(topic.co_read for topic in TOPICS)
    states = [check["state"] for check in checks if check["name"] == "topics"]
    assert states == ["fail"] * co_read


@pytest.mark.broker
def test_status_tells_how_far_a_group_is_behind(
    run: CliRunner,
    environment: Settings,
    producer,  # noqa: F811
) -> None:
    from kafka import KafkaConsumer, TopicPartition
    from kafka.structs import OffsetAndMetadata

    for _ in range(3):
        producer.send("saqshy.incidents", b"x", partition=0).get(60)
    consumer = KafkaConsumer(**environment.kafka.kafka_python_kwargs(), group_id="saqshy-incident")
    partition = TopicPartition("saqshy.incidents", 0)
    end = consumer.end_offsets([partition])[partition]
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(end - 2, "", -1)})
    consumer.close(autocommit=False)
    ended = run.invoke(app, ["status", "--json"])
    lag = json.loads(ended.stdout)["kafka"]["facts"]["lag"]
    assert lag == {"saqshy-incident": {"saqshy.incidents": 2}}
    assert "saqshy-incident" in run.invoke(app, ["status"]).stdout
