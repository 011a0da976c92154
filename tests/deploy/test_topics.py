import time
from dataclasses import replace
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import InvalidReplicationFactorError, KafkaError
from pydantic import SecretStr

from deploy.topics import (
    Found,
    Mismatch,
    TooFewReplicas,
    admin_client,
    check_topics,
    declared_partitions,
    ensure_topics,
    mismatches,
    protect,
)
from schemas.settings import KafkaSettings, Settings
from schemas.topics import DEAD_LETTERS, HEARTBEATS, MIN_INSYNC, PASSES, REGISTRY, TOPICS

KAFKA = KafkaSettings(partitions=8, replication=3)
AS_DECLARED = Found(partitions=8, replication=3, configs=PASSES.configs(replication=3))


def _with(settings: Settings, **changed: Any) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=changed)})


def test_a_topic_as_declared_is_no_mismatch() -> None:
    assert mismatches(PASSES, AS_DECLARED, KAFKA) == []


def test_a_missing_topic_says_how_to_create_it() -> None:
    (found,) = mismatches(PASSES, None, KAFKA)
    assert (found.what, found.found) == ("topic", "missing")
    assert "saqshy topics create" in found.remedy


def test_other_partitions_warn_of_moving_schools() -> None:
    (found,) = mismatches(PASSES, replace(AS_DECLARED, partitions=4), KAFKA)
    assert (found.what, found.declared, found.found) == ("partitions", "8", "4")
    assert "SAQSHY_KAFKA__PARTITIONS=4" in found.remedy
    assert "move schools" in found.remedy


def test_fewer_replicas_are_reported() -> None:
    (found,) = mismatches(PASSES, replace(AS_DECLARED, replication=1), KAFKA)
    assert (found.what, found.declared, found.found) == ("replication", "3", "1")


@pytest.mark.parametrize("name", PASSES.configs(replication=3))
def test_each_config_counts_and_may_not_be_left_to_the_broker(name: str) -> None:
    configs = {key: value for key, value in AS_DECLARED.configs.items() if key != name}
    (found,) = mismatches(PASSES, replace(AS_DECLARED, configs=configs), KAFKA)
    assert (found.what, found.found) == (name, "unset")
    if name == MIN_INSYNC:
        assert found.remedy == "saqshy topics protect"
    else:
        assert f"{name}={AS_DECLARED.configs[name]}" in found.remedy


@pytest.mark.parametrize(("replication", "acknowledge"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)])
def test_two_acknowledge_where_there_are_three(replication: int, acknowledge: int) -> None:
    for topic in TOPICS:
        assert topic.configs(replication)[MIN_INSYNC] == str(acknowledge)


def test_a_topic_of_three_that_one_may_acknowledge_is_found() -> None:
    configs = {**AS_DECLARED.configs, MIN_INSYNC: "1"}
    (found,) = mismatches(PASSES, replace(AS_DECLARED, configs=configs), KAFKA)
    assert (found.what, found.declared, found.found) == (MIN_INSYNC, "2", "1")


def test_what_is_not_declared_does_not_matter() -> None:
    more = {**AS_DECLARED.configs, "segment.ms": "1000"}
    assert mismatches(PASSES, replace(AS_DECLARED, configs=more), KAFKA) == []


def test_dead_letters_stand_in_one_partition() -> None:
    assert declared_partitions(DEAD_LETTERS, KAFKA) == 1


def _delete(client: Any, names: list[str]) -> None:
    existing = sorted(set(client.list_topics()) & set(names))
    if existing:
        client.delete_topics(existing)
    deadline = time.monotonic() + 60
    while set(client.list_topics()) & set(names):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.broker
def test_it_creates_what_is_missing_once(settings: Settings) -> None:
    with admin_client(settings.kafka) as client:
        _delete(client, [topic.name for topic in TOPICS])
    assert {one.what for one in check_topics(settings)} == {"topic"}
    created = ensure_topics(settings)
    assert [one.topic for one in created] == [topic.name for topic in TOPICS]
    assert ensure_topics(settings) == []
    assert check_topics(settings) == []


@pytest.mark.broker
def test_it_creates_one_that_is_missing_among_others(settings: Settings) -> None:
    with admin_client(settings.kafka) as client:
        _delete(client, [REGISTRY.name])
    assert [one.topic for one in ensure_topics(settings)] == [REGISTRY.name]


@pytest.mark.broker
def test_it_reports_a_topic_made_otherwise_and_leaves_it(settings: Settings) -> None:
    with admin_client(settings.kafka) as client:
        _delete(client, [HEARTBEATS.name])
        client.create_topics([NewTopic(HEARTBEATS.name, 3, 1, topic_configs={"retention.ms": "1"})])
    try:
        assert ensure_topics(settings) == []
        found = {one.what: one for one in check_topics(settings)}
        assert set(found) == {
            *("partitions", "retention.ms", "message.timestamp.type", "max.message.bytes"),
        }
        assert found["partitions"] == Mismatch(
            HEARTBEATS.name, "partitions", "2", "3", found["partitions"].remedy
        )
        assert found["message.timestamp.type"].found == "CreateTime"
    finally:
        with admin_client(settings.kafka) as client:
            _delete(client, [HEARTBEATS.name])
        ensure_topics(settings)


@pytest.mark.broker
def test_more_replicas_than_brokers_are_refused_by_name(settings: Settings) -> None:
    with admin_client(settings.kafka) as client:
        _delete(client, [REGISTRY.name])
    try:
        with pytest.raises(InvalidReplicationFactorError, match=REGISTRY.name):
            ensure_topics(_with(settings, replication=3))
    finally:
        ensure_topics(settings)


@pytest.mark.broker
def test_it_has_replicas_acknowledge_as_declared_only_where_writing_goes_on(
    settings: Settings,
) -> None:
    ensure_topics(settings)
    with admin_client(settings.kafka) as client:
        client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, PASSES.name, configs={MIN_INSYNC: "3"})]
        )
    assert [(one.topic, one.found) for one in check_topics(settings)] == [(PASSES.name, "3")]
    assert protect(settings) == [PASSES.name]
    assert protect(settings) == check_topics(settings) == []
    # Declared for a cluster, found on one broker.
    with pytest.raises(TooFewReplicas, match=PASSES.name):
        protect(_with(settings, replication=3))
    assert check_topics(settings) == []


@pytest.mark.broker
def test_a_wrong_password_ends_in_seconds(settings: Settings) -> None:
    began = time.monotonic()
    with pytest.raises(KafkaError):
        check_topics(_with(settings, password=SecretStr("wrong")))
    assert time.monotonic() - began < 60
