"""Two living workers of one member name: the one that started later ends, and says why.

Kafka lets whoever joins last have the name of a static member (KIP-345) and forgets the one before, who
joins again: two of them throw each other out for ever (aio-libs/aiokafka#1188). So each worker tells
when it started in its client id, which a group's description shows. Who was thrown out looks who has
the name now: a worker that started earlier keeps it. The order is the same for both, so one always stays.
"""

import os
import re
import time
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.protocol.admin import DescribeGroupsRequest

from streams.runtime.kafka import clients

_STAMP: Final = re.compile(r"\d{19}[0-9a-f]{8}")


class NameTaken(Exception):
    """Another worker has this one's member name: only an operator can mend that."""


def client_id(base: str, member: str) -> str:
    """Names this start of a worker: never the same twice, and sorted by time."""
    return f"{base}-{member}-{time.time_ns():019d}{os.urandom(4).hex()}"


def elder(own: str, others: Iterable[tuple[str, str]]) -> str | None:
    """The host of a worker of the same name that started before. `others`: (client id, host)."""
    name, stamp = own[:-27], own[-27:]
    for other, host in others:
        theirs = other.removeprefix(name)
        if theirs != other and _STAMP.fullmatch(theirs) and theirs < stamp:
            return host
    return None


async def members(consumer: Any, group: str) -> list[tuple[str, str]]:
    """(client id, host) of the group's members, as its coordinator has them. Raises KafkaError."""
    node = clients.coordinator_of(consumer).coordinator_id
    if node is None:
        return []
    answer = await clients.client_of(consumer).send(node, DescribeGroupsRequest([group]))
    [described] = answer.groups
    return [(member[1], member[2]) for member in described[5]]
