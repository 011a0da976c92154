"""The direct way of a press past Kafka: POST /direct, with a secret that the gateway shares with those
who are told.

It stands in a file that is read at each use, so that it can be rotated.
"""

import hmac
from pathlib import Path
from typing import Final

HEADER: Final = "X-Saqshy-Direct"


class NoSecret(Exception):
    """There is nothing to know the gateway by; the message says why."""


def read_secret(file: Path | None) -> str:
    """The secret in ``gateway.direct_secret_file``; empty when the file is. Raises NoSecret."""
    if file is None:
        raise NoSecret("gateway.direct_secret_file is not set")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoSecret("gateway.direct_secret_file can't be read") from error


def is_gateways(said: str, file: Path | None) -> bool:
    """Whether what a request's header ``said`` is the secret, compared in constant time.

    An empty secret lets nobody in. Raises NoSecret.
    """
    secret = read_secret(file)
    # A header may hold any bytes; aiohttp hands over those that are no UTF-8 as surrogates.
    given = said.encode("utf-8", "surrogateescape")
    return bool(secret) and hmac.compare_digest(given, secret.encode())
