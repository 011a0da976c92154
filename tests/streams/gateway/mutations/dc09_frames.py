"""Frames as a panel makes them, after SIA DC-09 and apart from our codec, field by field, so that one of
the fields can be another."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
PADDING = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Made:
    """One frame in parts. ``inner`` stands behind the first bracket: data, ], extended, timestamp."""

    token: str
    data: str
    account: str
    key: bytes | None = None
    udp: bool = False
    address: str = "127.0.0.1"
    stamped: bool = True
    extended: str = ""
    seq: str = "0001"
    receiver: str = ""
    prefix: str = "L0"
    hash: str = "#"
    star: str = "*"
    opening: str = "["
    closing: str = "]"
    before: bytes = b"\n"
    behind: bytes = b"\r"
    crc: str = "hex"
    length: str = ""
    stamp: str | None = None
    ahead_s: float = 0.0

    def inner(self, now_s: float) -> str:
        at = datetime.fromtimestamp(now_s + self.ahead_s, UTC).strftime("_%H:%M:%S,%m-%d-%Y")
        stamp = self.stamp if self.stamp is not None else at if self.stamped else ""
        return f"{self.data}{self.closing}{self.extended}{stamp}"

    def body(self, now_s: float) -> bytes:
        inner, star = self.inner(now_s), ""
        if self.key is not None:
            inner, star = sealed(inner, self.key), self.star
        return (
            f'"{star}{self.token}"{self.seq}{self.receiver}{self.prefix}{self.hash}{self.account}'
            f"{self.opening}{inner}"
        ).encode("latin-1")

    def raw(self, now_s: float) -> bytes:
        return self.around(self.body(now_s))

    def around(self, body: bytes) -> bytes:
        return self.before + self.head(body) + body + self.behind

    def head(self, body: bytes) -> bytes:
        crc = crc16(body)
        said = {
            "hex": b"%04X" % crc,
            "lower": b"%04x" % crc,
            "raw": crc.to_bytes(2, "big"),
            "wrong": b"%04X" % (crc ^ 0x0101),
            "none": b"",
        }[self.crc]
        return said + (self.length.encode() or b"0%03X" % len(body))


def sealed(inner: str, key: bytes) -> str:
    content = "|" + inner
    short = 16 - len(content) % 16
    padded = "".join(random.Random(len(inner)).choices(PADDING, k=short)) + content
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    blocks = encryptor.update(padded.encode("latin-1")) + encryptor.finalize()
    return blocks.hex().upper()


def _crc_of(byte: int) -> int:
    """A bit at a time, as annex A of DC-07 has it."""
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRCS = [_crc_of(byte) for byte in range(256)]


def crc16(body: bytes) -> int:
    crc = 0
    for byte in body:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 0xFF]
    return crc


def _ways() -> list[Made]:
    """The ways in: plaintext and encrypted, TCP and UDP, with and without a timestamp."""
    return [
        Made("", "", "5678"),
        Made("", "", "5678", stamped=False),
        Made("", "", "5678", udp=True, extended="[Xnorth wing][Yroom 5]"),
        Made("", "", "1234", key=KEY, address="10.9.9.9"),
        Made("", "", "4321", key=KEY, address="10.1.1.1", udp=True, receiver="R1", prefix="L12"),
        Made("", "", "7002", address="10.2.2.3", crc="raw"),
    ]


def presses() -> list[Made]:
    said = [
        ("SIA-DCS", "#{}|NPA1"),
        ("SIA-DCS", "#{}|Nri1/PA12"),
        ("SIA-DCS", "#{}|NHA4^office^"),
        ("SIA-DCS", "|Nti14:12/ri2/HA"),
        ("SIA-DCS", "#{}|NQA7"),
        ("SIA-DCS", "#{}|OPA3"),
        ("ADM-CID", "#{}|1120 00 007"),
        ("ADM-CID", "#{}|1121 01 012"),
        ("ADM-CID", "|1125 00 003"),
        ("ADM-CID", "#{}|1123 01 001"),
        ("ADM-CID", "#{}|6122 00 005"),
    ]
    return [
        replace(way, token=token, data=data.format(way.account))
        for way in _ways()
        for token, data in said
    ]


def others() -> list[Made]:
    """What never is a press: tests, armings, restores, troubles, link tests."""
    said = [
        ("SIA-DCS", "#{}|NRP"),
        ("SIA-DCS", "#{}|Nri1/CL1"),
        ("SIA-DCS", "#{}|NPR2"),
        ("SIA-DCS", "#{}|NOP5^hall^"),
        ("ADM-CID", "#{}|1602 00 000"),
        ("ADM-CID", "#{}|3401 00 001"),
        ("ADM-CID", "#{}|3120 00 007"),
        ("ADM-CID", "#{}|1301 00 000"),
        ("NULL", ""),
    ]
    return [
        replace(way, token=token, data=data.format(way.account))
        for way in _ways()
        for token, data in said
    ]
