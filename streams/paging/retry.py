"""When a receiver that did not take a message is asked again, and when it is given up. Pure."""

from typing import Final

RETRY_MS: Final = (1_000, 2_000, 5_000, 15_000, 30_000, 60_000, 120_000, 300_000)
GIVE_UP_AFTER_MS: Final = 24 * 3_600_000
UNCLEAR_RETRY_MS: Final = (15_000, 120_000, 900_000, 3_600_000)
"""A message whose answer was lost may have been heard: it is said five times at most."""
LONGEST_WAIT_MS: Final = 3_600_000
"""As long as a Retry-After is believed."""
TOO_LONG_MS: Final = 10_000
"""Somebody else is called meanwhile for what is urgent, as after three tries."""


class NotDelivered(Exception):
    """The other side did not take it. ``final``: it will not take it later either. ``unclear``: it may
    have. ``after_s``: it asks not to be tried before."""

    def __init__(
        self, why: str, final: bool = False, *, unclear: bool = False, after_s: float = 0.0
    ) -> None:
        super().__init__(why)
        self.final, self.unclear, self.after_s = final, unclear, after_s


FOR_NOW: Final = frozenset({408, 421, 423, 425, 429})
"""Answers below 500 that say: not now (RFC 9110, RFC 4918, RFC 8470, RFC 6585)."""


def refused_for_good(status: int) -> bool:
    """Whether the same message to the same address gets the same answer until a person changes
    something here or there: a redirect (none is followed), a wrong key or address, a body that is too
    large or not understood. What is repeated while nobody attends is tried anew all the same."""
    return 300 <= status < 500 and status not in FOR_NOW


def next_try_ms(
    why: NotDelivered, attempts: int, unclear: int, made_ms: int, now_ms: int
) -> int | None:
    """When it is tried again after so many attempts, of which so many were ``unclear``; None for never."""
    if why.final or now_ms - made_ms > GIVE_UP_AFTER_MS or unclear > len(UNCLEAR_RETRY_MS):
        return None
    wait_ms = RETRY_MS[min(attempts, len(RETRY_MS)) - 1]
    if unclear:
        wait_ms = max(wait_ms, UNCLEAR_RETRY_MS[unclear - 1])
    return max(now_ms + wait_ms, asked_ms(why, now_ms))


def asked_ms(why: NotDelivered, now_ms: int) -> int:
    """Before when the other side asks not to be tried."""
    return now_ms + min(round(why.after_s * 1000), LONGEST_WAIT_MS)
