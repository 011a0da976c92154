"""A client's bytes, handed out in pieces as a socket would."""

from collections.abc import Callable


def feed(data: bytes, piece: int = 1 << 16) -> Callable[[int], bytes]:
    """A `receive` for a Reader: pieces of at most `piece` bytes, then b"" for the end."""
    position = 0

    def receive(most: int) -> bytes:
        nonlocal position
        start = position
        position = min(len(data), position + min(most, piece))
        return data[start:position]

    return receive
