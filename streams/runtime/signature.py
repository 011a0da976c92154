"""How a webhook is signed: ``X-Saqshy-Signature: v1=<hex>``, beside ``X-Saqshy-Timestamp``."""

import hmac
from typing import Final

TIMESTAMP: Final = "X-Saqshy-Timestamp"
SIGNATURE: Final = "X-Saqshy-Signature"


def signed(key: bytes, at_s: int, body: bytes) -> dict[str, str]:
    """Both headers. The signature is HMAC-SHA256 over timestamp, full stop and body.

    The receiver computes it anew, compares in constant time, and refuses old timestamps.
    """
    mac = hmac.digest(key, b"%d." % at_s + body, "sha256")
    return {TIMESTAMP: str(at_s), SIGNATURE: f"v1={mac.hex()}"}
