"""What can't be read in batches is refused before anything is read."""

from pathlib import Path

import faust
import pytest
from faust.exceptions import ImproperlyConfigured

from schemas.settings import KafkaSettings
from streams.transport import app_settings, batches


def an_app(folder: Path) -> faust.App:
    return faust.App("refused", **app_settings(KafkaSettings(), datadir=folder))


async def test_an_ordinary_topic_is_refused(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    aiter(app.topic("ordinary"))
    with pytest.raises(ImproperlyConfigured, match="ordinary isn't read in batches"):
        await app.consumer.subscribe(["ordinary"])


async def test_a_topic_of_two_channels_is_refused(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    for _ in range(2):
        aiter(batches(app, ["shared"]))
    with pytest.raises(ImproperlyConfigured, match="Two channels read shared"):
        await app.consumer.subscribe(["shared"])


async def test_the_actors_of_an_agent_share_one_queue(tmp_path: Path) -> None:
    channel = batches(an_app(tmp_path), ["topic"])
    assert aiter(channel).queue is aiter(channel.clone()).queue is channel.queue


def test_several_brokers_and_scram_become_faust_settings(tmp_path: Path) -> None:
    kafka = KafkaSettings.model_validate(
        {
            "bootstrap": "one:9092, two:9093",
            "insecure": True,
            "security_protocol": "SASL_PLAINTEXT",
            "username": "worker",
            "password": "secret",
        }
    )
    app = faust.App("scram", **app_settings(kafka, datadir=tmp_path, member="flow-1"))
    assert [str(url) for url in app.conf.broker] == ["batch://one:9092", "batch://two:9093"]
    assert app.conf.broker_credentials.username == "worker"
    assert app.conf.broker_credentials.mechanism.value == "SCRAM-SHA-256"
    assert app.conf.consumer_group_instance_id == "flow-1"
