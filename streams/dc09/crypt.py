"""Encryption of DC-09 frames: AES in CBC mode from an IV of zeros, over everything behind the first
opening bracket (5.4). Padding stands in front, ends with ``|`` and holds none of ``|[]``.

The mode has no authentication of its own. A timestamp is required inside, and only who has the key
can put a well-formed one there. What is legible without one comes from who has the key as well, only
when it was said is not known.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from streams.dc09.frame import Frame, FrameFault, Refusal, format_content, with_content

BLOCK_BYTES: Final = 16
PADDING: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
TEXT_KEY: Final = "text:"
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{48}|[0-9A-Fa-f]{64}", re.ASCII)
_IV: Final = bytes(BLOCK_BYTES)
_TELLING: Final = 3
_ROW = re.compile(r"[0-9:,_ \-\]|#]{10}", re.ASCII)


def read_key(said: str) -> bytes:
    """A key of 16, 24 or 32 bytes: in hexadecimal, or its very characters behind ``text:``.

    Panels ask for the one or the other. Raises ValueError.
    """
    if said.startswith(TEXT_KEY):
        key = said.removeprefix(TEXT_KEY).encode("latin-1")
    elif _HEX_KEY.fullmatch(said):
        key = bytes.fromhex(said)
    else:
        key = b""
    if len(key) not in (16, 24, 32):
        raise ValueError(
            "an AES key is 32, 48 or 64 hexadecimal digits, or text: and 16, 24 or 32 characters"
        )
    return key


def encrypt(frame: Frame, key: bytes, choose: Callable[[str], str] = secrets.choice) -> Frame:
    """The frame encrypted. Raises ValueError when it has no timestamp, which the standard requires.

    ``choose`` picks a padding character. The first block carries random padding only as far as the
    content's length leaves it: with the IV fixed, that is what the standard has for equal messages.
    """
    if frame.time_s is None:
        raise ValueError("an encrypted frame needs a timestamp")
    content = "|" + format_content(frame)
    short = BLOCK_BYTES - len(content) % BLOCK_BYTES
    padded = "".join(choose(PADDING) for _ in range(short)) + content
    encryptor = Cipher(algorithms.AES(key), modes.CBC(_IV)).encryptor()
    sealed = encryptor.update(padded.encode("latin-1")) + encryptor.finalize()
    return replace(frame, data=sealed.hex().upper(), extended=(), time_s=None, encrypted=True)


def decrypt(frame: Frame, key: bytes) -> Frame | Refusal:
    """The frame in the clear, or why not: KEY, or, with the right key, what is wrong inside."""
    try:
        text = unseal(bytes.fromhex(frame.data), key)
    except ValueError:
        return Refusal(FrameFault.KEY, "no whole blocks")
    before, bracket, after = text.partition("]")
    # All of it is padding when no bar ends the padding: some receivers acknowledge so.
    opened = with_content(frame, before.partition("|")[2] + bracket + after)
    if isinstance(opened, Frame) and opened.time_s is not None:
        return opened
    if not is_legible(text, frame.account):
        return Refusal(FrameFault.KEY, "another key, or no frame of the standard")
    if isinstance(opened, Frame):
        return Refusal(FrameFault.TIME, "no timestamp inside", opened)
    return opened


def unseal(sealed: bytes, key: bytes) -> str:
    """The text in these blocks, whatever it is. Raises ValueError when they are not whole."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(_IV)).decryptor()
    return (decryptor.update(sealed) + decryptor.finalize()).decode("latin-1")


def is_legible(text: str, account: str) -> bool:
    """Whether another key could not have made this text: by chance, in one of 10^9 frames at most.

    It names the account, has a row of what numbers and times are written in, or is all printable.
    """
    named = len(account) >= _TELLING and f"#{account}|".upper() in text.upper()
    printable = len(text) >= 2 * BLOCK_BYTES and text.isascii() and text.isprintable()
    return named or printable or _ROW.search(text) is not None
