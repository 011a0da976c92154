"""ClickHouse's native protocol: reading what clients send, writing what they understand.

Source of the protocol: ClickHouse's `src/Server/TCPHandler.cpp` and `src/Core/Protocol.h`.

Announced revision: 54429, the first whose settings travel as strings. Before it a client sends
only settings whose binary type it knows, and clickhouse-driver silently drops the others,
`insert_deduplication_token` among them. Later revisions add what a single local engine does not
need (interserver secrets, tracing, parallel replicas), and from 54454 on sparse columns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

REVISION = 54429
TIMEZONE = "UTC"
BLOCK_INFO = bytes([1, 0, 2, 255, 255, 255, 255, 0])
"""Block info before each block on the wire: no overflow row, bucket -1."""

MAX_HELLO_STRING_BYTES = 4096
MAX_QUERY_BYTES = 16 << 20
MAX_SETTINGS = 500
_MIN_REVISION = 54060
_VERSION_PATCH_REVISION = 54401
RECEIVE_BYTES = 1 << 18


class ClientPacket(IntEnum):
    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4


class ServerPacket(IntEnum):
    HELLO = 0
    DATA = 1
    EXCEPTION = 2
    PONG = 4
    END_OF_STREAM = 5


class ProtocolError(Exception):
    """What the client sent is not the protocol, or is over a bound: the connection must end."""


class Disconnected(Exception):
    """The client closed the connection."""


@dataclass(frozen=True)
class Hello:
    """A client's introduction; `revision` is the lower of the client's and ours."""

    client: str
    revision: int
    database: str
    user: str
    password: str


@dataclass(frozen=True)
class Query:
    """A client's query. `settings` maps names to values as strings."""

    query_id: str
    settings: dict[str, str]
    compressed: bool
    text: str


class Reader:
    """Reads the protocol's primitives from `receive(max_bytes)`, which may block.

    `receive` returns b"" when the client is gone. At most `budget` bytes are taken between two
    calls of `begin`: a length beyond that is refused before anything is allocated for it.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self.buffer = bytearray()
        self.position = 0
        self._budget = 0

    def begin(self, budget: int) -> None:
        """Forget what has been read, and allow `budget` bytes to be read from here on."""
        del self.buffer[: self.position]
        self.position = 0
        self._budget = budget

    def unread(self) -> int:
        """How many bytes are here and not read yet."""
        return len(self.buffer) - self.position

    def need(self, count: int) -> None:
        """Have `count` unread bytes in the buffer. Raises ProtocolError, Disconnected."""
        end = self.position + count
        if end > self._budget:
            raise ProtocolError(f"more than {self._budget} bytes where they are not allowed")
        while len(self.buffer) < end:
            received = self._receive(RECEIVE_BYTES)
            if not received:
                raise Disconnected
            self.buffer += received

    def skip(self, count: int) -> None:
        self.need(count)
        self.position += count

    def take(self, count: int) -> bytes:
        self.need(count)
        start = self.position
        self.position += count
        return bytes(self.buffer[start : self.position])

    def byte(self) -> int:
        self.need(1)
        self.position += 1
        return self.buffer[self.position - 1]

    def varint(self) -> int:
        """An unsigned number of at most 64 bits, 7 bits a byte, lowest first."""
        number = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                if number >= 1 << 64:
                    break
                return number
        raise ProtocolError("a number of more than 64 bits")

    def string(self, limit: int) -> str:
        """A string of at most `limit` bytes, which must be UTF-8."""
        length = self.varint()
        if length > limit:
            raise ProtocolError(f"a string of {length} bytes where {limit} are allowed")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("a string that is not UTF-8") from error

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings. The hot loop of inserts: about 0.1 us a string."""
        buffer, position, end = self.buffer, self.position, len(self.buffer)
        for _ in range(count):
            if position >= end:
                self.position = position
                self._fill_to(position + 1)
                end = len(buffer)
            length = buffer[position]
            if length < 0x80:
                position += 1 + length
            else:
                self.position = position
                self._fill_to(position)
                length = self.varint()
                position = self.position + length
                end = len(buffer)
        self.position = min(position, self._budget + 1)
        self._fill_to(position)

    def _fill_to(self, end: int) -> None:
        """Have all bytes before the absolute position `end`, which may lie ahead."""
        self.need(max(0, end - self.position))


def read_hello(reader: Reader) -> Hello:
    """The first packet of a connection, its type included. Raises ProtocolError."""
    packet = reader.varint()
    if packet != ClientPacket.HELLO:
        raise ProtocolError("not a client of ClickHouse's native protocol")
    client = reader.string(MAX_HELLO_STRING_BYTES)
    reader.varint()  # major version
    reader.varint()  # minor version
    revision = min(reader.varint(), REVISION)
    if revision < _MIN_REVISION:
        raise ProtocolError(f"this client is too old (revision {revision}, need {_MIN_REVISION})")
    database, user, password = (reader.string(MAX_HELLO_STRING_BYTES) for _ in range(3))
    return Hello(client, revision, database, user, password)


def read_query(reader: Reader, revision: int) -> Query:
    """A query packet after its type. Raises ProtocolError."""
    query_id = reader.string(MAX_HELLO_STRING_BYTES)
    _skip_client_info(reader, revision)
    settings = _read_settings(reader, revision)
    reader.varint()  # stage: this engine always runs a query to its end
    compressed = reader.varint() != 0
    return Query(query_id, settings, compressed, reader.string(MAX_QUERY_BYTES))


def _skip_client_info(reader: Reader, revision: int) -> None:
    if reader.byte() == 0:  # no query kind: nothing follows
        return
    for _ in range(3):  # initial user, query id, address
        reader.string(MAX_HELLO_STRING_BYTES)
    if reader.byte() != 1:
        raise ProtocolError("a query that did not come over TCP")
    for _ in range(3):  # user of the system, host name, client name
        reader.string(MAX_HELLO_STRING_BYTES)
    for _ in range(3):  # major, minor, revision
        reader.varint()
    reader.string(MAX_HELLO_STRING_BYTES)  # quota key
    if revision >= _VERSION_PATCH_REVISION:
        reader.varint()


def _read_settings(reader: Reader, revision: int) -> dict[str, str]:
    settings: dict[str, str] = {}
    while name := reader.string(MAX_HELLO_STRING_BYTES):
        if revision < REVISION:
            raise ProtocolError("settings of a client older than revision 54429: send none")
        if len(settings) >= MAX_SETTINGS:
            raise ProtocolError(f"more than {MAX_SETTINGS} settings")
        reader.byte()  # flags
        settings[name] = reader.string(1 << 16)
    return settings


def varint(number: int) -> bytes:
    """An unsigned number, 7 bits a byte, lowest first."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(text: str) -> bytes:
    raw = text.encode()
    return varint(len(raw)) + raw


def hello(name: str, version: tuple[int, int, int], revision: int) -> bytes:
    """The server's answer to a hello that it accepts."""
    packet = varint(ServerPacket.HELLO) + string(name) + varint(version[0]) + varint(version[1])
    packet += varint(REVISION) + string(TIMEZONE)
    if revision >= 54372:
        packet += string(name)
    if revision >= _VERSION_PATCH_REVISION:
        packet += varint(version[2])
    return packet


def exception(code: int, message: str) -> bytes:
    """An error of the engine or of this server, as drivers' ServerException."""
    body = string("DB::Exception") + string(message) + string("") + b"\0"
    return varint(ServerPacket.EXCEPTION) + code.to_bytes(4, "little", signed=True) + body


DATA_HEAD = varint(ServerPacket.DATA) + string("") + BLOCK_INFO
"""What goes before the bytes of one block in FORMAT Native."""
PONG = varint(ServerPacket.PONG)
END_OF_STREAM = varint(ServerPacket.END_OF_STREAM)
