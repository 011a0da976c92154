"""What a receiver answers (5.5.3). A frame with a wrong CRC gets no answer at all."""

from dataclasses import replace

from streams.dc09.crypt import encrypt
from streams.dc09.frame import Frame, format_frame


def ack(frame: Frame, now_s: float, key: bytes | None = None) -> bytes:
    """The receiver has the frame and answers for it. Encrypted, with the key, as the frame was."""
    answer = replace(frame, token="ACK", data="", extended=(), time_s=None, encrypted=False)  # noqa: S106
    if key is not None:
        answer = encrypt(replace(answer, time_s=int(now_s)), key)
    return format_frame(answer)


def nak(now_s: float, *, raw_crc: bool = False) -> bytes:
    """The timestamp is out of the window; this is the time to set the clock by. Never encrypted."""
    said = Frame("NAK", 0, "", prefix="0", receiver="0", time_s=int(now_s), raw_crc=raw_crc)
    return format_frame(said)


def duh(frame: Frame) -> bytes:
    """The frame is whole, and the receiver can do nothing with it."""
    return format_frame(
        replace(frame, token="DUH", data="", extended=(), time_s=None, encrypted=False)  # noqa: S106
    )
