"""aiokafka asks a broker that is down without a pause; this gives it one.

Its fetcher and its sender ask for metadata again as soon as an answer, or none, is there
(fetcher.py ``_fetch_requests_routine``, sender.py ``_sender_routine``, 0.14). Measured while a broker was
down: 1,200 connections and 2,400 log lines a second from each process, which together took the machine from
those who told presses directly.
"""

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

PAUSE_S: Final = 0.1
SAID_EVERY_S: Final = 5.0


def pause_metadata_retries() -> None:
    """For this whole process: a pause after metadata that nobody gave, and few words about it."""
    ask = AIOKafkaClient._metadata_update
    if getattr(ask, "is_patient", False):
        return

    async def ask_patiently(client: Any, cluster: Any, topics: Any) -> Any:
        given = await ask(client, cluster, topics)
        if not given:
            await asyncio.sleep(PAUSE_S)
        return given

    ask_patiently.is_patient = True  # type: ignore[attr-defined]
    AIOKafkaClient._metadata_update = ask_patiently
    for name in ("aiokafka", "aiokafka.conn", "aiokafka.consumer.fetcher"):
        logging.getLogger(name).addFilter(Seldom())


class Seldom(logging.Filter):
    """Lets each message through once in SAID_EVERY_S."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = time.monotonic()
        if now_s - self._said_s.get(str(record.msg), -SAID_EVERY_S) < SAID_EVERY_S:
            return False
        self._said_s[str(record.msg)] = now_s
        return True
