"""Canaries on the way of the devices: over HTTP through both listeners of the gateway.

Their key is that of a school that is none (events.is_canary), and the gateway takes from a key only
events of its own school, so that nothing said here can reach police or people.
"""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from schemas.events import DeviceKind, Heartbeat, PanicPressed, is_canary
from schemas.ids import uuid7
from schemas.private import private_text
from schemas.settings import Settings, WatchdogSettings
from schemas.topics import HEARTBEATS
from streams.keys import Device, claimed
from streams.paging.files import Unusable
from streams.runtime.kafka import clients
from streams.watchdog.canary import BEAT_PERIOD_S, DEVICE

ACCEPTED_WITHIN_S: Final = 8.0
"""The gateway itself gives Kafka 5 s."""
ARRIVES_WITHIN_S: Final = 5.0
FETCH_BYTES: Final = 64 * 1024
_ACCEPTED: Final = 202


def load_key(path: Path) -> str:
    """The device key of this file. Raises Unusable when it is not a canary's, NotPrivate, OSError."""
    key = private_text(path).strip()
    said = claimed(f"Bearer {key}")
    if said is None:
        raise Unusable(f"{path} holds no device key: saqshy keys add KZ-00-99999 canary")
    if not is_canary(said[0].school):
        raise Unusable(
            f"{path} holds the key of {said[0].school}, which is a school: a canary's presses would "
            "reach the police. Use one of KZ-00-9NNNN: saqshy keys add KZ-00-99999 canary"
        )
    return key


class ByGateway:
    """Sends, and looks whether it came. Raises ValueError for what is no key, start() KafkaError."""

    def __init__(self, settings: Settings, key: str) -> None:
        said = claimed(f"Bearer {key}")
        if said is None:
            raise ValueError("no device key")
        self._who: Device = said[0]
        self._own: WatchdogSettings = settings.watchdog
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._reader = clients.consumer(
            settings.kafka, fetch_max_wait_ms=100, max_partition_fetch_bytes=FETCH_BYTES
        )
        self._place = TopicPartition(HEARTBEATS.name, 0)
        self._boot = int(time.time())
        self._seq = 0

    async def start(self) -> None:
        await self._reader.start()
        there = await clients.partitions_of(self._reader, [HEARTBEATS.name])
        partitions = [tp.partition for tp in there]
        key = self._who.school.encode()
        number: int = DefaultPartitioner()(key, partitions, partitions)  # as the gateway's producer
        self._place = TopicPartition(HEARTBEATS.name, number)
        end = (await self._reader.end_offsets([self._place]))[self._place]
        self._reader.assign([self._place])
        self._reader.seek(self._place, end)
        self._reader.pause(self._place)

    async def stop(self) -> None:
        clients.leave(self._reader)

    async def beat(self) -> str:
        """One heartbeat through the gateway; why it did not come, empty when it did."""
        event = self._beat()
        from_offset = (await self._reader.end_offsets([self._place]))[self._place]
        if why := await self._post(f"{self._own.events_url}/v1/events", event):
            return why
        try:
            async with asyncio.timeout(ARRIVES_WITHIN_S):
                await self._arrival(event.id.encode(), from_offset)
        except TimeoutError:
            return (
                f"a heartbeat that it accepted is not on the topic after {ARRIVES_WITHIN_S:.0f} s"
            )
        finally:
            self._reader.pause(self._place)
        return ""

    def press(self) -> PanicPressed:
        return PanicPressed(**self._next())

    async def send_press(self, press: PanicPressed) -> str:
        """Why the panic listener did not take it, empty when it did. The same one may be sent again."""
        return await self._post(f"{self._own.panic_url}/v1/panic", press)

    def _next(self) -> dict[str, Any]:
        """What every event of the canary says: whose it is, when, and its number."""
        self._seq += 1
        now_ms = int(time.time() * 1000)
        return {
            "id": uuid7(now_ms),
            "school": self._who.school,
            "device": self._who.device,
            "time_ms": now_ms,
            "boot": self._boot,
            "seq": self._seq,
        }

    def _beat(self) -> Heartbeat:
        return Heartbeat(
            **self._next(),
            kind=DeviceKind.GATEWAY,
            period_s=BEAT_PERIOD_S,
            link_pct=100,
            provider=DEVICE,
            buffered=0,
            clock_offset_ms=0,
        )

    async def _arrival(self, id_: bytes, from_offset: int) -> None:
        """Reads what came since, and no more: the topic is the widest of all."""
        self._reader.seek(self._place, from_offset)
        self._reader.resume(self._place)
        while True:
            found = await self._reader.getmany(self._place, timeout_ms=500)
            if any(id_ in (record.value or b"") for record in found.get(self._place, [])):
                return

    async def _post(self, url: str, event: Heartbeat | PanicPressed) -> str:
        """A connection of its own each time: whether new ones are taken is what is asked."""
        timeout = aiohttp.ClientTimeout(total=ACCEPTED_WITHIN_S)
        context = ssl.create_default_context(cafile=self._own.gateway_ca_file)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as web,
                web.post(
                    url,
                    data=event.model_dump_json().encode(),
                    headers=self._headers,
                    ssl=context,
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status == _ACCEPTED:
                    return ""
                return f"the gateway answers {answer.status}: {(await answer.text())[:100]}"
        except TimeoutError:
            return f"the gateway does not answer within {ACCEPTED_WITHIN_S:.0f} s"
        except aiohttp.ClientConnectorError as error:
            return f"the gateway is not reached at {error.host}:{error.port}: {error.strerror}"
        except (aiohttp.ClientError, OSError, UnicodeDecodeError) as error:
            return f"the gateway is not reached: {error}"[:200]
