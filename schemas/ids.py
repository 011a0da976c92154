"""UUIDv7 (RFC 9562, section 5.7) for what we name ourselves."""

import secrets
import uuid
from hashlib import sha256


def uuid7(now_ms: int, of: bytes = b"") -> str:
    """A new id, or with ``of`` the one that follows from it and the time."""
    random = sha256(of).digest()[:10] if of else secrets.token_bytes(10)
    bits = int.from_bytes(random, "big")
    number = (now_ms & (1 << 48) - 1) << 80 | 7 << 76 | (bits >> 62 & 0xFFF) << 64
    return str(uuid.UUID(int=number | 2 << 62 | bits & (1 << 62) - 1))
