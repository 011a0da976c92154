"""Server-sent events that lose nothing (HTML Living Standard, section 9.2).

An event's id is ``<server start>-<number>``; a browser that comes back with Last-Event-ID gets what it
missed, or a new snapshot when that is forgotten.
"""

import asyncio
import re
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from dashboards.console.access import EVERYBODY, Eyes
from dashboards.console.feeds import Feeds, now_ms
from dashboards.console.picture import Change, Picture, everything
from dashboards.console.standing import for_wall, without_notes

_json = msgspec.json.Encoder(enc_hook=str).encode
"""A snapshot of ten thousand alarms held up everything for 0.2 s with json.dumps; it takes a third."""

BEAT_EVERY_S: Final = 1.0
BEAT_AFTER_CHANGE_S: Final = 0.25
"""At the soonest so long after the one before: its counts cost more than a change does."""
KEPT_TEXTS: Final = 2_000
KEPT_COUNTS: Final = 200
MAX_CHANGES_AT_ONCE: Final = 2_000
FIRST_PANICS: Final = 200
PANICS_AT_ONCE: Final = 200
LONGEST_WAITING: Final = 100
"""So many of those that nobody has answered are told first of all, with the newest."""


class Stream:
    """Wakes the open event streams when the picture has changed."""

    def __init__(self, picture: Picture, feeds: Feeds | None = None) -> None:
        self.picture = picture
        self.feeds = feeds
        self.started_ms = now_ms()
        self._waiting: set[asyncio.Event] = set()
        self._counted: dict[tuple[str, ...], tuple[tuple[int, int], dict[str, Any]]] = {}
        self._texts: OrderedDict[tuple[int, bool, bool], str] = OrderedDict()

    def wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def events(
        self, last_id: str, only_panics: bool, eyes: Eyes = EVERYBODY
    ) -> AsyncIterator[str]:
        """The text of the stream, until the browser goes or may see nothing any more.

        A snapshot comes in pieces: ten thousand panics in one go stop a browser for seconds. What
        changes meanwhile goes before the next piece, and each piece says how its panics stand when it
        is made, so that a press waits for one piece at most and nothing older follows something newer.
        Until a beat says that all is told (``whole``) no event has an id: who breaks off begins anew.

        Nothing is queued per browser but the names of the panics that it has not been told yet.
        """
        number = self._number(last_id)
        told = number is not None
        untold: deque[str] = deque()
        changed = asyncio.Event()
        self._waiting.add(changed)
        soonest_s = float("-inf")
        try:
            yield "retry: 500\n\n"
            while not (ended := eyes.ended()):
                changed.clear()
                changes = None if number is None else self.picture.since(number)
                too_many = changes is not None and len(changes) > MAX_CHANGES_AT_ONCE
                first: dict[str, Any] | None = None
                # A reader of panics alone gets each transition it missed, however far behind.
                if changes is None or (too_many and not only_panics):
                    first, untold = self._begin(eyes)
                    changes, told, number = [], False, self.picture.last
                some = self._next_of(
                    untold, PANICS_AT_ONCE if first is None else FIRST_PANICS, eyes
                )
                for change in changes:
                    number = change.number
                    text = self._text(eyes, change, only_panics)
                    if text:
                        yield text if told else text.partition("\n")[2]
                if first is not None and not only_panics:
                    yield _event("snapshot", {**first, "panics": some})
                elif only_panics:
                    for panic in some:
                        yield _event("panic", panic)
                elif some:
                    yield _event("panics", some)
                if not told and not untold and self._restored:
                    told, soonest_s = True, float("-inf")
                now_s = time.monotonic()
                if first is not None and untold:
                    soonest_s = now_s + BEAT_AFTER_CHANGE_S
                wait_s = soonest_s - now_s
                if wait_s <= 0:
                    beat = _event("beat", {**self.beat(eyes), "whole": told})
                    yield self._id(number) + beat if told else beat
                    soonest_s, wait_s = now_s + BEAT_AFTER_CHANGE_S, BEAT_EVERY_S
                if untold:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
            yield _event(ended, {})
        finally:
            self._waiting.discard(changed)

    @property
    def _restored(self) -> bool:
        """Whether the picture holds what Kafka held when this console started to read it."""
        return self.feeds is None or self.feeds.restored

    def _begin(self, eyes: Eyes) -> tuple[dict[str, Any], deque[str]]:
        """A snapshot without its panics, and their names in the order in which they are told.

        The first piece holds those that have waited longest for an answer, one of which takes over
        the screen, and the newest, which are listed; the others follow, the newest first.
        """
        snapshot = self.snapshot(eyes)
        newest = [panic["id"] for panic in snapshot["panics"]]
        waiting = [p["id"] for p in reversed(snapshot["panics"]) if waits(p)]
        order = dict.fromkeys([*waiting[:LONGEST_WAITING], *newest])
        return snapshot, deque(order)

    def _next_of(self, untold: deque[str], at_most: int, eyes: Eyes) -> list[dict[str, Any]]:
        """The next panics, as they stand now, taken from those that are not told yet."""
        names = [untold.popleft() for _ in range(min(at_most, len(untold)))]
        panics = [self.picture.panics[name] for name in names if name in self.picture.panics]
        seen = [panic for panic in panics if eyes.sees(panic["school"])]
        return [_as_seen(eyes, panic) for panic in seen]

    def snapshot(self, eyes: Eyes) -> dict[str, Any]:
        """All that these eyes may see."""
        whole = self.picture.snapshot(eyes.sees)
        if not eyes.numbers:
            whole["numbers"] = {}
        if eyes.notes:
            return whole
        hidden: dict[str, Any] = {"presence": {}}
        hidden |= {n: [_as_seen(eyes, a) for a in whole[n]] for n in ("panics", "alerts", "recent")}
        return {**whole, **hidden}

    def beat(self, eyes: Eyes = EVERYBODY) -> dict[str, Any]:
        """Proof of life, with the age of every source."""
        return {
            "now_ms": now_ms(),
            "fresh_ms": self.feeds.fresh_ms if self.feeds else {},
            **self._counts(eyes),
            "first_event_ms": self.picture.first_event_ms,
        }

    def _counts(self, eyes: Eyes) -> dict[str, Any]:
        """Counted once for all who have the same places."""
        now = (self.picture.last, self.picture.device_changes)
        number, counts = self._counted.get(eyes.places, ((-1, -1), {}))
        if number != now or eyes.sees is everything:
            counts = {
                "counts": self.picture.counts(eyes.sees),
                "alerts_open": self.picture.alerts_open(eyes.sees),
                "silent_devices": self.picture.silent_devices(eyes.sees),
            }
            if eyes.sees is everything:
                return counts
            self._counted[eyes.places] = now, counts
            if len(self._counted) > KEPT_COUNTS:
                del self._counted[next(iter(self._counted))]
        return counts

    def _number(self, last_id: str) -> int | None:
        found = re.fullmatch(r"(\d+)-(\d+)", last_id)
        return int(found[2]) if found and int(found[1]) == self.started_ms else None

    def _text(self, eyes: Eyes, change: Change, only_panics: bool) -> str:
        """Of a change as these eyes see it, made once for all who see the same; empty for nothing.

        Its first line is its id.
        """
        if only_panics and change.name != "panic":
            return ""
        if eyes.sees is not everything and change.name in ("schools", "status"):
            seen = [one for one in change.data if eyes.sees(_school(change.name, one))]
            return self._id(change.number) + _event(change.name, seen) if seen else ""
        if change.name == "numbers" and not eyes.numbers:
            return ""
        if change.name == "presence":
            seen_here = eyes.notes and eyes.sees(change.data["school"])
            return self._id(change.number) + _event("presence", change.data) if seen_here else ""
        is_alert = change.name in ("panic", "alert", "life")
        if is_alert:
            part = self.picture.within(eyes.sees, change.data)
            if part is None:
                return ""
            if part is not change.data:
                return self._id(change.number) + _event(change.name, _as_seen(eyes, part))
        key = (change.number, eyes.notes or not is_alert, eyes.wall)
        if key not in self._texts:
            data = _as_seen(eyes, change.data) if is_alert else change.data
            self._texts[key] = self._id(change.number) + _event(change.name, data)
            if len(self._texts) > KEPT_TEXTS:
                self._texts.popitem(last=False)
        return self._texts[key]

    def _id(self, number: int | None) -> str:
        return f"id: {self.started_ms}-{number}\n"


def waits(panic: dict[str, Any]) -> bool:
    """Whether it takes over the screen: nobody has answered it, and it is no drill."""
    return panic["state"] == "open" and not panic["drill"]


def _as_seen(eyes: Eyes, alert: dict[str, Any]) -> dict[str, Any]:
    if eyes.wall:
        return for_wall(alert)
    return alert if eyes.notes else without_notes(alert)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {_json(data).decode()}\n\n"


def _school(name: str, one: Any) -> str:
    """Whose it is: one of a change named ``schools`` or ``status``."""
    school: str = one["id"] if name == "schools" else one[0]
    return school
