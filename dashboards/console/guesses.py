"""Who guesses passwords is slowed down, and nobody else: not the operator whose login is guessed, not the
country behind one address.

A try is counted before its password is hashed, so that of many at once no more are heard than one after
another. A browser in which somebody has signed in before shows a ticket of that (OWASP, "Slow Down Online
Guessing Attacks with Device Cookies"): its tries are counted apart, and one place to be heard is its own.
"""

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Final

from streams.runtime.network import network_of

FREE_TRIES: Final = 5
FREE_TRIES_OF_LOGIN: Final = 50
"""From all over the network together, in browsers that are not known."""
LONGEST_WAIT_S: Final = 900.0
LONGEST_WAIT_OF_LOGIN_S: Final = 20.0
"""So that who knows the password gets a turn however many guess it."""
FORGOTTEN_AFTER_S: Final = 3_600.0
MOST_TRIED: Final = 10_000
HASHED_AT_ONCE: Final = 2  # 64 MiB each, and one more for browsers that are known
IN_LINE: Final = 64
IN_LINE_OF_NETWORK: Final = 16
IN_LINE_OF_LOGIN: Final = 3
"""In browsers that are known."""
TICKET_DAYS: Final = 90


class Wait(Exception):
    """Not now, but in ``s`` seconds."""

    def __init__(self, s: float) -> None:
        super().__init__(f"{s:.0f} s")
        self.s = s


class Throttle:
    """Some tries are free, each further one waits twice as long, up to ``longest_s``. What was not tried
    for an hour is forgotten. The clock is monotonic, in seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        free_tries: int = FREE_TRIES,
        longest_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._clock = clock
        self._free_tries = free_tries
        self._longest_s = longest_s
        # Apart, so that who makes up names gets nobody forgotten whose tries are all used.
        self._few: dict[Hashable, tuple[int, float]] = {}
        self._many: dict[Hashable, tuple[int, float]] = {}

    def wait_s(self, who: Hashable) -> float:
        """How long until another try is heard; 0 for at once."""
        count, last_s = self._of(who)
        since_s = self._clock() - last_s
        if count < self._free_tries or since_s > FORGOTTEN_AFTER_S:
            return 0.0
        wait_s = min(self._longest_s, 2.0 ** min(count - self._free_tries, 10))
        return max(0.0, wait_s - since_s)

    def tried(self, who: Hashable) -> None:
        """Counts as a failure, unless ``succeeded`` says otherwise."""
        count, last_s = self._of(who)
        now_s = self._clock()
        self._put(who, 1 if now_s - last_s > FORGOTTEN_AFTER_S else count + 1, now_s)

    def not_heard(self, who: Hashable) -> None:
        """The last try was not one after all."""
        count, last_s = self._of(who)
        self._put(who, count - 1, last_s)

    def succeeded(self, who: Hashable) -> None:
        self._put(who, 0, 0.0)

    def _of(self, who: Hashable) -> tuple[int, float]:
        return self._many.get(who) or self._few.get(who, (0, 0.0))

    def _put(self, who: Hashable, count: int, at_s: float) -> None:
        self._few.pop(who, None)
        self._many.pop(who, None)
        if count > 0:
            where = self._few if count < self._free_tries else self._many
            where[who] = count, at_s
        if len(self._few) + len(self._many) > MOST_TRIED:
            least = self._few or self._many
            del least[next(iter(least))]


class Guesses:
    """Lets a try be heard, or raises Wait. ``secret`` signs the tickets of known browsers."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret.encode()
        self._from_network = Throttle(clock)
        self._of_login = Throttle(clock, FREE_TRIES_OF_LOGIN, LONGEST_WAIT_OF_LOGIN_S)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)
        self._known_hashing = asyncio.Semaphore(1)
        self._in_line: Counter[str] = Counter()

    @asynccontextmanager
    async def heard(
        self, login: str, address: str, ticket: str, now_ms: int
    ) -> AsyncIterator[None]:
        """The password may be hashed inside. Raises Wait."""
        network = network_of(address)
        known = self.knows(ticket, login, now_ms)
        who: Hashable = (login, ticket) if known else (login, network)
        wait_s = self._from_network.wait_s(who)
        if not known:
            wait_s = max(wait_s, self._of_login.wait_s(login))
        if wait_s:
            raise Wait(wait_s)
        line, most = (login, IN_LINE_OF_LOGIN) if known else (network, IN_LINE_OF_NETWORK)
        crowded = not known and self._in_line.total() >= IN_LINE
        if crowded or self._in_line[line] >= most:
            raise Wait(1.0)
        self._from_network.tried(who)
        if not known:
            self._of_login.tried(login)
        self._in_line[line] += 1
        try:
            async with self._known_hashing if known else self._hashing:
                yield
        except asyncio.CancelledError:
            self._from_network.not_heard(who)
            raise
        finally:
            self._in_line[line] -= 1
            if not self._in_line[line]:
                del self._in_line[line]

    def succeeded(self, login: str, address: str, ticket: str) -> None:
        """Of this browser and network nothing is held against this login any more."""
        self._from_network.succeeded((login, ticket))
        self._from_network.succeeded((login, network_of(address)))
        self._of_login.not_heard(login)

    def ticket(self, login: str, now_ms: int) -> str:
        """For the cookie of a browser in which this login has signed in."""
        ends_ms = now_ms + TICKET_DAYS * 86_400_000
        return f"{ends_ms}.{self._signed(login, ends_ms)}"

    def knows(self, ticket: str, login: str, now_ms: int) -> bool:
        ends, _, signed = ticket.partition(".")
        if not (ends.isascii() and ends.isdecimal() and len(ends) < 16) or int(ends) <= now_ms:
            return False
        return hmac.compare_digest(signed.encode(), self._signed(login, int(ends)).encode())

    def _signed(self, login: str, ends_ms: int) -> str:
        text = f"known browser|{ends_ms}|{login}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
