"""A page as a signed POST to a system of somebody else (docs/paging.md describes its body)."""

import json
import time
from collections.abc import Collection
from typing import Final, Literal

from pydantic import SecretStr, field_validator

from streams.paging.channel import Channel
from streams.paging.page import Page, document
from streams.paging.web import WebAddress
from streams.runtime.signature import signed

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Webhook(WebAddress, Channel):
    kind: Literal["webhook"] = "webhook"
    secret: SecretStr

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return secret

    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        body = json.dumps(document(said, base), separators=(",", ":")).encode()
        signature = signed(self.secret.get_secret_value().encode(), int(time.time()), body)
        await self.ask("POST", body, {**signature, IDEMPOTENCY_KEY: said.id})
