"""`python -m streams gateway`: the listeners, the producers, the journal, until SIGTERM or Ctrl-C."""

import asyncio
import logging
import resource
from ipaddress import ip_address
from typing import Any, Final

import structlog
from starlette.applications import Starlette

from schemas.settings import Settings
from schemas.topics import ALERTS, HEARTBEATS, PANICS, PASSES
from streams.gateway.accounts import Accounts, accounts_path, read_accounts
from streams.gateway.api import Api
from streams.gateway.closes import follow_closes
from streams.gateway.direct import Direct
from streams.gateway.events import Events
from streams.gateway.findings import Findings
from streams.gateway.heard import Heard, follow_alerts
from streams.gateway.http import Listener
from streams.gateway.kafka import Kafka
from streams.gateway.keeper import Keeper
from streams.gateway.known import Known, follow, keep_remembered, recall
from streams.gateway.limit import Limit
from streams.gateway.metrics import Metrics
from streams.gateway.panics import Panics
from streams.gateway.receiver import FIRST_FRAME_S, OverTcp, OverUdp, Receiver
from streams.gateway.room import Room, Rules, shares
from streams.gateway.watched import Watched
from streams.keys import Keys, keys_path, read_keys
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import Service

log = structlog.get_logger(__name__)

KEEP_ALIVE_S: Final = 20.0
HEADER_S: Final = 5.0
"""A request has all that comes before its body by then, from the moment the connection is there."""
PER_DEVICE: Final = 8
"""Connections of one device; behind a proxy, of the device that spoke last on each."""
WEIGHTS: Final = {"panic": 10, "events": 10, "dc09": 10}
"""How the listeners share the descriptors that are not in reserve."""


def service(settings: Settings) -> Service:
    # It has a line for each request that is none, and whoever wants our disk full sends thousands.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    _many_connections()
    it = Gateway(settings)
    return Service(
        name="gateway",
        run=it.run,
        ready=it.ready,
        says=it.says,
        figures=it.figures,
        live=it.counted.all,
    )


def _many_connections() -> None:
    """As many open connections as the system lets us have: a country's devices keep theirs open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Gateway:
    """Everything of one process. Panics have a producer and a listener of their own."""

    def __init__(self, settings: Settings) -> None:
        own = settings.gateway
        self._settings = settings
        self._kafka = Kafka(settings.kafka, (PANICS.name,))
        self._events_kafka = Kafka(settings.kafka, (PASSES.name, HEARTBEATS.name, ALERTS.name))
        self._keeper = Keeper(settings.var / "gateway" / "presses.journal")
        self._direct = Direct(own.direct_urls, own.direct_secret_file)
        self._known = Known()
        self._heard = Heard()
        self._findings = Findings(self._events_kafka)
        self._panics = Panics(
            self._kafka,
            self._keeper,
            self._direct,
            self._known,
            self._heard,
            own.ack_timeout_ms,
            mad=self._findings.mad,
        )
        self._events = Events(self._events_kafka, Limit(own.events_per_s, own.burst_events))
        self.counted = Metrics()
        keys: Watched[Keys] = Watched(keys_path(settings), read_keys, {})
        accounts: Watched[Accounts] = Watched(accounts_path(settings), read_accounts, {})
        self._api = Api(keys, self._panics, self._events, self._findings, self.counted)
        receiver = Receiver(accounts, self._panics, self._events, self._findings, self.counted)
        self._rooms = _rooms(settings)
        self._tcp, self._udp = OverTcp(receiver, self._rooms.get("dc09")), OverUdp(receiver)
        self._alarms = settings.var / "gateway" / "alarms.json"
        self._following: list[asyncio.Task[None]] = []
        self._servers: list[Listener] = []
        self.listeners: list[asyncio.Task[None]] = []
        self._started = False

    async def run(self) -> None:
        """Until cancelled, or a listener ends."""
        try:
            await self.start()
            # A listener that can't have its port ends the process, for the supervisor to say so.
            await asyncio.wait(self.listeners or [asyncio.Future()])
        finally:
            await self.stop()

    async def start(self) -> None:
        """Listen for presses before anything else; Kafka and the past may come later."""
        own = self._settings.gateway
        self._kafka.start()
        self._events_kafka.start()
        recall(self._known, self._alarms)
        replayed = await self._panics.replay()
        if own.panic_port:
            self._listen("panic", self._api.for_panics(), own.host, own.panic_port)
        if own.dc09_tcp_port:
            await self._tcp.start(own.host, own.dc09_tcp_port)
        if own.dc09_udp_port:
            await self._udp.start(own.host, own.dc09_udp_port)
        if own.port:
            self._listen("events", self._api.for_events(), own.host, own.port)
        self._following = [
            asyncio.create_task(follow(self._settings.kafka, self._known)),
            asyncio.create_task(follow_alerts(self._settings.kafka, self._heard)),
            asyncio.create_task(follow_closes(self._settings.kafka, self._known.closed)),
            asyncio.create_task(keep_remembered(self._known, self._alarms)),
        ]
        self._started = True
        log.info("gateway up", port=own.port, panic_port=own.panic_port, replayed=replayed)

    async def stop(self) -> None:
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self.listeners, return_exceptions=True)
        await self._tcp.stop()
        await self._udp.stop()
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._findings.stop()
        await self._events.stop()
        await self._panics.stop()
        await self._kafka.stop()
        await self._events_kafka.stop()

    def _listen(self, name: str, app: Starlette, host: str, port: int) -> None:
        own = self._settings.gateway
        tls = (own.tls_cert_file, own.tls_key_file) if own.tls_cert_file else None
        proxies = ",".join(str(network) for network in own.trusted_proxies)
        server = Listener(name, app, (host, port), self._rooms[name], tls, proxies)
        self._servers.append(server)
        self.listeners.append(asyncio.create_task(server.serve()))

    def ready(self) -> bool:
        """Without Kafka it takes presses all the same: that is what it is for."""
        return self._started and all(server.started for server in self._servers)

    def says(self) -> dict[str, Any]:
        return {
            "kafka": "late" if self._panics.kafka_late else self._kafka_state(),
            "caught_up": self._known.caught_up,
            "journaled": self._keeper.size,
            "port": self._settings.gateway.port,
            "panic_port": self._settings.gateway.panic_port,
        }

    def _kafka_state(self) -> str:
        return "up" if self._kafka.connected else "down"

    def figures(self) -> list[Figure]:
        kept = {f"presses_{kept}_total": count for kept, count in self._panics.count.items()}
        said = {
            **kept,
            "presses_unheard_total": self._panics.unheard,
            "presses_refused_total": self._panics.refused,
            "presses_unsent": self._kafka.waiting,
            "presses_journaled": self._keeper.size,
            "direct_told_total": self._direct.told,
            "direct_failed_total": self._direct.failed,
            "events_accepted_total": self._events.accepted,
            "events_repeated_total": self._events.repeated,
            "events_unsent": self._events_kafka.waiting,
            "findings_total": self._findings.count,
            **{f"connections_{name}": room.size for name, room in self._rooms.items()},
            **{f"connections_closed_{name}_total": r.evicted for name, r in self._rooms.items()},
            "kafka_up": self._kafka.connected and not self._panics.kafka_late,
        }
        return figures(said, prefix="gateway_")


def _rooms(settings: Settings) -> dict[str, Room]:
    """A share of this process's descriptors for each listener that there is."""
    own = settings.gateway
    weights = {
        name: WEIGHTS[name]
        for name, port in (
            ("panic", own.panic_port),
            ("events", own.port),
            ("dc09", own.dc09_tcp_port),
        )
        if port
    }
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def is_proxy(address: str) -> bool:
        there = ip_address(address.partition("%")[0])
        return any(there in network for network in own.trusted_proxies)

    return {
        name: Room(
            Rules(
                most,
                min(own.connections_per_address, most // 2),
                PER_DEVICE,
                first_s=FIRST_FRAME_S if name == "dc09" else HEADER_S,
                idle_s=KEEP_ALIVE_S,
                proxies=is_proxy,
            )
        )
        for name, most in shares(descriptors, weights).items()
    }
