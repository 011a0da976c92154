"""What Grafana needs to know of this place: ``SAQSHY_GRAFANA__…`` or ``[grafana]`` in saqshy.toml."""

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from schemas.clear_text import Reaching, Url, is_here

TOML = Path("saqshy.toml")
RUNBOOKS = "docs/operations.md"
"""The path in the repository: true everywhere, and a link as soon as the setting gives an address."""


def _period(text: str) -> str:
    first, _, last = text.partition("/")
    if date.fromisoformat(first) > date.fromisoformat(last):
        raise ValueError("the first day comes after the last")
    return text


Period = Annotated[str, AfterValidator(_period)]
"""Two dates, both within: "2026-10-26/2026-11-01"."""


class Telegram(BaseModel):
    token: SecretStr
    chat: str


class Webhook(Reaching):
    url: Url
    bearer: SecretStr | None = None


class Reach(BaseModel):
    """Whom to tell, in which language. Several ways at once are fine, none is too."""

    language: str = Field("kk", pattern="^(kk|ru|en)$")
    webhooks: list[Webhook] = []
    telegram: list[Telegram] = []
    pagerduty: list[SecretStr] = []
    emails: list[str] = []


class GrafanaClickHouse(Reaching):
    """ClickHouse as Grafana reaches it, and its read-only user (dashboards/grafana/reader.sql)."""

    host: str = "127.0.0.1"
    port: int = 9000
    database: str = "saqshy"
    user: str = "saqshy_reader"
    password: SecretStr = SecretStr("")
    secure: bool = False

    def in_clear(self) -> Iterator[tuple[str, str]]:
        if not self.secure and not is_here(self.host):
            yield "host", "set secure = true and the port of its TLS listener"


class GrafanaSettings(BaseSettings, Reaching):
    model_config = SettingsConfigDict(
        env_prefix="SAQSHY_GRAFANA__", env_nested_delimiter="__", extra="forbid"
    )

    url: Url = "http://127.0.0.1:3000"
    token: SecretStr = Field(SecretStr(""), description="of a service account, role Admin")
    verify_tls: bool = True
    timeout_s: float = Field(10.0, gt=0)
    runbooks: str = Field(
        RUNBOOKS, description="where people read docs/operations.md, like https://…/operations.md"
    )
    clickhouse: GrafanaClickHouse = GrafanaClickHouse()
    panic: Reach = Reach()
    operations: Reach = Reach()
    engineers: Reach = Reach()
    holidays: list[Period] = Field([], description="besides June to August and Sundays")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        written = tomllib.loads(TOML.read_text()).get("grafana", {}) if TOML.exists() else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, written)
