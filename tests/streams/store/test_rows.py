"""Whatever the contracts allow, ClickHouse takes: else one odd record would stop a lane."""

import asyncio
import itertools
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from clickhouse_driver import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.events import EVENT_MODELS, Envelope
from schemas.settings import ClickHouseSettings
from schemas.topics import BY_NAME, TOPIC_OF_TYPE
from streams.store.block import form
from streams.store.clickhouse import ClickHouse
from streams.store.rows import TABLE_OF
from streams.store.seen import Seen
from tests.schemas.strategies import instances
from tests.streams.store.written import in_kafka

pytestmark = pytest.mark.broker

TODAY_MS = int(datetime.now(UTC).timestamp()) * 1000
partitions = itertools.count(20_000)


def as_given(value: Any) -> Any:
    """What ClickHouse answered, as the rows had it."""
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=UTC).timestamp() * 1000)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [as_given(inner) for inner in value]
    return value


@pytest.mark.parametrize("model", EVENT_MODELS, ids=lambda model: model.__name__)
def test_what_the_contract_allows_is_stored_as_it_came(
    model: type[Envelope], clickhouse_server: ClickHouseSettings, client: Client
) -> None:
    schema = model.model_json_schema()
    kind = schema["properties"]["type"]["const"]
    topic = TOPIC_OF_TYPE[kind]
    table = TABLE_OF[topic.name]
    clickhouse = ClickHouse(clickhouse_server)

    @settings(
        max_examples=8,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(instances(schema, schema), min_size=5, max_size=20))
    def check(events: list[dict[str, Any]]) -> None:
        partition = next(partitions)
        written = []
        for n, event in enumerate(events):
            value = {
                **event,
                "type": kind,
                "school": "KZ-91-00001",
                "seq": n,
                "time_ms": TODAY_MS + n,
            }
            value["id"] = f"{n:08x}-0000-7000-8000-000000000000"
            raw = json.dumps(value, ensure_ascii=n % 2 == 0).encode()
            written.append((topic.name, b"KZ-91-00001", raw, kind))
        block = form(
            BY_NAME[topic.name], partition, in_kafka(written, 0, TODAY_MS), Seen(0), lambda _: True
        )
        assert len(block.offsets) == len(events), [letter for letter, _, _ in block.letters]
        asyncio.run(
            clickhouse.insert(table.name, table.all_columns, block.columns, f"rows/{partition}")
        )
        stored = client.execute(
            f"SELECT {', '.join(table.all_columns)} FROM {table.name} "
            f"WHERE kafka_partition = {partition} ORDER BY kafka_offset",
            columnar=True,
        )
        for name, came, there in zip(table.all_columns, block.columns, stored, strict=True):
            pairs = zip(as_given(came), as_given(there), strict=True)
            assert not [(name, *pair) for pair in pairs if pair[0] != pair[1]]

    check()
