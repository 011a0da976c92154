"""Configuration of every process: environment over saqshy.toml over what the embedded stack wrote.

Environment names: ``SAQSHY_KAFKA__BOOTSTRAP``, ``SAQSHY_CLICKHOUSE__HOST`` and so on. Passwords
come from the environment or, better, from files (``…__PASSWORD_FILE``).
"""

import json
import os
import ssl
import sys
import tomllib
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from schemas.clear_text import Reaching, Url, elsewhere, is_here, told
from schemas.private import NotPrivate, SecretFile, closed, secret_files


class WithPassword(BaseModel):
    password: SecretStr | None = None
    password_file: SecretFile | None = None

    def secret(self) -> str | None:
        """The password, read from its file at each use so that it can be rotated.

        Raises OSError when the file can't be read.
        """
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is not None:
            return self.password_file.read_text().strip()
        return None


class KafkaSettings(WithPassword, Reaching):
    bootstrap: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-256"
    username: str | None = None
    ca_file: Path | None = None
    partitions: int = Field(8, ge=1, description="of every co-read topic")
    replication: int = Field(1, ge=1)

    def in_clear(self) -> Iterator[tuple[str, str]]:
        if not self.security_protocol.endswith("SSL") and any(elsewhere(self.bootstrap)):
            yield "bootstrap", "set security_protocol to SASL_SSL or SSL"

    def _security(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol.startswith("SASL"):
            kwargs |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.secret(),
            }
        if self.security_protocol.endswith("SSL"):
            kwargs["ssl_context"] = self.ssl_context()
        return kwargs

    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def aiokafka_kwargs(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap, **self._security()}

    def kafka_python_kwargs(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap, **self._security()}

    def confluent_config(self) -> dict[str, str]:
        config = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            config |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username or "",
                "sasl.password": self.secret() or "",
            }
        if self.ca_file is not None:
            config["ssl.ca.location"] = str(self.ca_file)
        return config


class ClickHouseSettings(WithPassword, Reaching):
    host: str = "127.0.0.1"
    port: int = 9000
    database: str = "saqshy"
    user: str = "default"
    secure: bool = False
    insert_timeout_s: float = Field(30.0, gt=0, description="one insert, at most")

    def in_clear(self) -> Iterator[tuple[str, str]]:
        if not self.secure and not is_here(self.host):
            yield "host", "set secure = true and the port of its TLS listener"

    def driver_kwargs(self) -> dict[str, Any]:
        """For ``clickhouse_driver.Client(**kwargs)``."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.secret() or "",
            "secure": self.secure,
            "connect_timeout": 5,
            "send_receive_timeout": self.insert_timeout_s,
            "client_name": "saqshy",
        }


class ConsoleSettings(Reaching):
    """The live map. ``public_url`` is the address by which people reach it through a TLS proxy.

    With ``oidc_issuer`` people sign in there (authorization code with PKCE); the claim ``oidc_roles``
    holds their roles, ``oidc_places`` the regions and centers for which they have them. Those at
    ``direct_urls`` are told of an operator's step at once when Kafka does not take it, with the secret
    of the gateway's ``direct_secret_file``; dispatch, among them, keeps it. ``trusted_proxies`` are the
    networks of TLS proxies of ours: their X-Forwarded-For is believed, nobody else's. With the key of
    ``audit_key_file`` the audit log is chained; one is made in var/secrets where none is named.
    """

    host: str = "127.0.0.1"
    port: int = 8060
    public_url: Url = ""
    direct_urls: list[Url] = Field([])
    session_hours: float = Field(13.0, gt=0, description="one shift, at most")
    oidc_issuer: Url = ""
    oidc_client_id: str = ""
    oidc_secret_file: SecretFile | None = None
    oidc_roles: str = "saqshy_role"
    oidc_places: str = "saqshy_places"
    trusted_proxies: list[IPv4Network | IPv6Network] = Field([])
    audit_key_file: SecretFile | None = None

    def in_clear(self) -> Iterator[tuple[str, str]]:
        yield from super().in_clear()
        if not is_here(self.host):
            yield "host", "listen on 127.0.0.1 behind a proxy that speaks TLS"


class WorkerSettings(Reaching):
    """Health and metrics of one worker process: ``/health`` and ``/metrics`` on this port, and with
    dispatch and notify ``/direct``."""

    health_host: str = "127.0.0.1"
    health_port: int = Field(0, ge=0, le=65_535, description="0: no listener")
    member: str = Field(
        "",
        description="static name in its group: back within a session, a killed worker has its "
        "partitions at once. No two living workers of a lane may share one; empty for none",
    )

    def in_clear(self) -> Iterator[tuple[str, str]]:
        if not is_here(self.health_host):
            yield "health_host", "listen on 127.0.0.1, behind a proxy that speaks TLS"


class LivenessSettings(BaseModel):
    misses: int = Field(4, ge=1, description="heartbeats missed before a device is offline")
    grace_s: float = Field(5.0, ge=0, description="allowance for the network, after the last miss")


class GatewaySettings(Reaching):
    """Where devices send. Panics have a listener of their own, so that nothing queues before them.

    ``direct_urls`` are told of a press at once when Kafka does not acknowledge it in time, with the
    secret of ``direct_secret_file`` in the header X-Saqshy-Direct. Ports of 0: no listener. With
    ``tls_cert_file`` and ``tls_key_file`` both HTTP listeners speak HTTPS. ``trusted_proxies`` are
    the networks of TLS proxies of ours: many devices share their address, and their X-Forwarded-For is
    believed.
    """

    host: str = "127.0.0.1"
    port: int = Field(8070, ge=0, le=65_535)
    panic_port: int = Field(8071, ge=0, le=65_535)
    dc09_tcp_port: int = Field(0, ge=0, le=65_535)
    dc09_udp_port: int = Field(0, ge=0, le=65_535)
    keys_file: SecretFile | None = None
    accounts_file: SecretFile | None = None
    direct_urls: list[Url] = Field([])
    direct_secret_file: SecretFile | None = None
    tls_cert_file: Path | None = None
    tls_key_file: SecretFile | None = None
    trusted_proxies: list[IPv4Network | IPv6Network] = Field([])
    connections_per_address: int = Field(
        1_000,
        ge=8,
        description="without a valid key yet, of one address; a carrier's has thousands of devices",
    )
    ack_timeout_ms: int = Field(300, gt=0, description="then a press goes to the journal")
    events_per_s: float = Field(50, gt=0, description="of one device, for long")
    burst_events: int = Field(3_000, gt=0, description="of one device at once, after an outage")

    def in_clear(self) -> Iterator[tuple[str, str]]:
        """DC-09 is encrypted per account, and accounts say so for themselves."""
        yield from super().in_clear()
        speaks_http = self.port or self.panic_port
        if speaks_http and self.tls_cert_file is None and not is_here(self.host):
            yield "host", "give tls_cert_file and tls_key_file"


class DispatchSettings(BaseModel):
    """``centers_file`` says how each police operational control center is reached."""

    centers_file: Path | None = None


class NotifySettings(Reaching):
    """Who is paged, and how. Addresses of channels stand in files only. ``link`` begins the links."""

    channels_file: Path | None = None
    policies_file: Path | None = None
    link: Url = "http://127.0.0.1:8060/"


class WatchdogSettings(Reaching):
    """The watchdog pages by ``channels_file`` of its own and pings the address in ``ping_file``.

    ``health_urls``: /health of each process by name; `saqshy up` names those that it starts. With
    ``gateway_key_file``, the device key of a canary (KZ-00-9NNNN), it also sends through the gateway's
    listeners at ``events_url`` and ``panic_url``, which have a certificate of ``gateway_ca_file``.
    """

    channels_file: Path | None = None
    ping_file: Path | None = None
    canaries: bool = True
    health_urls: dict[str, Url] = Field({})
    gateway_key_file: SecretFile | None = None
    gateway_ca_file: Path | None = None
    events_url: Url = "http://127.0.0.1:8070"
    panic_url: Url = "http://127.0.0.1:8071"
    every_s: float = Field(5.0, gt=0, description="between two looks")
    press_every_s: float = Field(30.0, gt=0, description="between two canary presses")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="SAQSHY_", env_nested_delimiter="__", toml_file="saqshy.toml", extra="ignore"
    )

    var: Path = Path("var")
    log_format: Literal["console", "json"] = "console"
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    console: ConsoleSettings = ConsoleSettings()
    worker: WorkerSettings = WorkerSettings()
    liveness: LivenessSettings = LivenessSettings()
    gateway: GatewaySettings = GatewaySettings()
    dispatch: DispatchSettings = DispatchSettings()
    notify: NotifySettings = NotifySettings()
    watchdog: WatchdogSettings = WatchdogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls),
            InitSettingsSource(settings_cls, _written_by_the_stack()),
        )

    def environment(self) -> dict[str, str]:
        """These settings as variables for a child process, passwords included."""
        variables = {}
        for name, value in self.model_dump(mode="json").items():
            part = getattr(self, name)
            if isinstance(part, WithPassword) and part.password is not None:
                value["password"] = part.password.get_secret_value()
            variables[f"SAQSHY_{name.upper()}"] = (
                value if isinstance(value, str) else json.dumps(value)
            )
        return variables


def stack_file(var: Path) -> Path:
    """Where the embedded stack says how to reach it (a JSON object in the shape of Settings)."""
    return var / "run" / "stack.json"


def settings_of_process() -> Settings:
    """The settings of a process that starts, whose files with secrets are closed to others.

    Raises SystemExit with a message for a person.
    """
    try:
        settings = Settings()
        for _, path in secret_files(settings):
            closed(path)
        return settings
    except NotPrivate as error:
        sys.exit(str(error))
    except ValidationError as error:
        sys.exit(
            f"A setting cannot be used: {told(error)}.\nLook at the SAQSHY_… variables and at "
            "saqshy.toml (e.g. kafka.bootstrap is SAQSHY_KAFKA__BOOTSTRAP); docs/operations.md."
        )


def configured_var() -> Path:
    """The data folder, before the other settings are read: environment over saqshy.toml."""
    said = os.environ.get("SAQSHY_VAR")
    if said is None:
        try:
            said = tomllib.loads(Path("saqshy.toml").read_text()).get("var")
        except (OSError, ValueError):
            said = None  # who reads all settings says what is wrong with it
    return Path(said if isinstance(said, str) else "var")


def _written_by_the_stack() -> dict[str, Any]:
    path = stack_file(configured_var())
    try:
        written: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return written
