"""Who guesses passwords is slowed down, and nobody else."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.console.guesses import (
    FREE_TRIES,
    FREE_TRIES_OF_LOGIN,
    HASHED_AT_ONCE,
    IN_LINE,
    IN_LINE_OF_LOGIN,
    LONGEST_WAIT_OF_LOGIN_S,
    LONGEST_WAIT_S,
    MOST_TRIED,
    Guesses,
    Throttle,
    Wait,
)

NOW_MS = 1_700_000_000_000


def test_who_guesses_waits_longer_each_time_and_nobody_else_does() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    guesser, other = ("aigerim", "10.0.0.1"), ("aigerim", "10.0.0.2")
    for _ in range(FREE_TRIES):
        assert throttle.wait_s(guesser) == 0
        throttle.tried(guesser)
    waits = []
    for _ in range(12):
        waits.append(throttle.wait_s(guesser))
        now += waits[-1]
        assert throttle.wait_s(guesser) == 0
        throttle.tried(guesser)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S
    assert throttle.wait_s(other) == 0
    throttle.succeeded(guesser)
    assert throttle.wait_s(guesser) == 0


def test_nobody_gets_theirs_forgotten_by_making_up_other_names() -> None:
    throttle = Throttle(lambda: 0.0)
    for _ in range(FREE_TRIES):
        throttle.tried("aigerim")
    for n in range(2 * MOST_TRIED):
        throttle.tried(n)
    assert throttle.wait_s("aigerim") > 0


def test_what_was_not_tried_for_an_hour_is_forgotten() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(50):
        throttle.tried("a")
    assert throttle.wait_s("a") > 0
    now = 3_601.0
    assert throttle.wait_s("a") == 0
    throttle.tried("a")
    assert throttle.wait_s("a") == 0


class World:
    """Passwords take as long as the test lets them; the clock stands."""

    def __init__(self) -> None:
        self.now = 0.0
        self.guesses = Guesses("secret", lambda: self.now)
        self.heard: Counter[str] = Counter()
        self.hashing = self.most = 0
        self.go = asyncio.Event()

    async def tries(
        self, login: str, address: str, *, right: bool = False, ticket: str = ""
    ) -> bool:
        """Whether it was heard."""
        try:
            async with self.guesses.heard(login, address, ticket, NOW_MS):
                self.hashing += 1
                self.most = max(self.most, self.hashing)
                await self.go.wait()
                self.hashing -= 1
        except Wait:
            return False
        self.heard[login] += 1
        if right:
            self.guesses.succeeded(login, address, ticket)
        return True


async def test_of_many_guesses_at_once_no_more_are_heard_than_one_after_another() -> None:
    world = World()
    tries = [asyncio.create_task(world.tries("aigerim", "192.0.2.1")) for _ in range(40)]
    await asyncio.sleep(0)
    world.go.set()
    assert sum(await asyncio.gather(*tries)) == FREE_TRIES
    assert world.most <= HASHED_AT_ONCE


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 300), st.sampled_from([4, 6])),
        min_size=200,
        max_size=400,
    )
)
def test_guesses_of_a_login_from_wherever_they_come_are_bounded(
    tried: list[tuple[str, int, int]],
) -> None:
    async def run() -> Counter[str]:
        world = World()
        world.go.set()
        for login, host, version in tried:
            address = f"192.0.2.{host % 256}" if version == 4 else f"2001:db8:0:{host}::{host}"
            await world.tries(login, address)
        return world.heard

    heard = asyncio.run(run())
    assert all(count <= FREE_TRIES_OF_LOGIN for count in heard.values())


async def test_who_knows_the_password_gets_in_however_many_guessed_from_the_same_address() -> None:
    world = World()
    world.go.set()
    for n in range(62 * 4):
        await world.tries(f"nobody{n % 62}", "192.0.2.1")
    assert await world.tries("aigerim", "192.0.2.1", right=True)


async def test_who_is_guessed_at_from_all_over_the_network_waits_seconds_and_a_known_browser_not() -> (
    None
):
    world = World()
    world.go.set()
    for n in range(FREE_TRIES_OF_LOGIN * 4):
        await world.tries("aigerim", f"2001:db8:0:{n:x}::1")
    assert not await world.tries("aigerim", "192.0.2.1")
    ticket = world.guesses.ticket("aigerim", NOW_MS)
    assert await world.tries("aigerim", "192.0.2.1", ticket=ticket)
    world.now += LONGEST_WAIT_OF_LOGIN_S
    assert await world.tries("aigerim", "192.0.2.1")


async def test_a_line_of_guessers_does_not_stand_before_a_known_browser() -> None:
    world = World()
    crowd = [
        asyncio.create_task(world.tries(f"n{n}", f"198.51.{n // 250}.{n % 250}"))
        for n in range(400)
    ]
    await asyncio.sleep(0)
    assert sum(task.done() for task in crowd) == 400 - IN_LINE
    ticket = world.guesses.ticket("aigerim", NOW_MS)
    known = asyncio.create_task(world.tries("aigerim", "198.51.0.1", ticket=ticket))
    await asyncio.sleep(0)
    assert world.hashing == HASHED_AT_ONCE + 1
    more = [
        asyncio.create_task(world.tries("aigerim", "198.51.0.1", ticket=ticket)) for _ in range(9)
    ]
    await asyncio.sleep(0)
    assert sum(not task.done() for task in more) == IN_LINE_OF_LOGIN - 1
    world.go.set()
    assert await known
    await asyncio.gather(*crowd, *more)


async def test_a_try_that_was_broken_off_before_it_was_heard_does_not_count() -> None:
    world = World()
    for _ in range(3 * FREE_TRIES):
        task = asyncio.create_task(world.tries("aigerim", "192.0.2.1"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    world.go.set()
    assert await world.tries("aigerim", "192.0.2.1")


@pytest.mark.parametrize(
    "ticket",
    ["", "x", "1.x", f"{NOW_MS}.", "99999999999999999999.x", "²3.x", f"{NOW_MS + 1}.тайна"],
)
def test_a_ticket_is_not_made_up(ticket: str) -> None:
    assert not Guesses("secret").knows(ticket, "aigerim", NOW_MS)


def test_a_ticket_is_of_one_login_one_secret_and_ninety_days() -> None:
    ticket = Guesses("secret").ticket("aigerim", NOW_MS)
    assert Guesses("secret").knows(ticket, "aigerim", NOW_MS)
    assert not Guesses("secret").knows(ticket, "bolat", NOW_MS)
    assert not Guesses("another").knows(ticket, "aigerim", NOW_MS)
    assert not Guesses("secret").knows(ticket, "aigerim", NOW_MS + 91 * 86_400_000)
