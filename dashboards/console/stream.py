"""Server-sent events that lose nothing (HTML Living Standard, section 9.2).

An event's id is ``<server start>-<number>``; a browser that comes back with Last-Event-ID gets what it
missed, or a new snapshot when that is forgotten.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from dashboards.console.access import EVERYBODY, Eyes
from dashboards.console.feeds import Feeds, now_ms
from dashboards.console.picture import Change, Picture, everything
from dashboards.console.standing import without_notes

_json = msgspec.json.Encoder(enc_hook=str).encode
"""A snapshot of ten thousand alarms held up everything for 0.2 s with json.dumps; it takes a third."""

BEAT_EVERY_S: Final = 1.0
BEAT_AFTER_CHANGE_S: Final = 0.25
"""At the soonest so long after the one before: its counts cost more than a change does."""
KEPT_TEXTS: Final = 2_000
MAX_CHANGES_AT_ONCE: Final = 2_000
FIRST_PANICS: Final = 200
PANICS_AT_ONCE: Final = 200


class Stream:
    """Wakes the open event streams when the picture has changed."""

    def __init__(self, picture: Picture, feeds: Feeds | None = None) -> None:
        self.picture = picture
        self.feeds = feeds
        self.started_ms = now_ms()
        self._waiting: set[asyncio.Event] = set()
        self._texts: OrderedDict[tuple[int, bool], str] = OrderedDict()

    def wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def events(
        self, last_id: str, only_panics: bool, eyes: Eyes = EVERYBODY
    ) -> AsyncIterator[str]:
        """The text of the stream, until the browser goes or may see nothing any more.

        Nothing is queued per browser.
        """
        number = self._number(last_id)
        changed = asyncio.Event()
        self._waiting.add(changed)
        soonest_s = float("-inf")
        try:
            yield "retry: 500\n\n"
            while eyes.open():
                changed.clear()
                changes = None if number is None else self.picture.since(number)
                too_many = changes is not None and len(changes) > MAX_CHANGES_AT_ONCE
                # A reader of panics alone gets each transition it missed, however far behind.
                if changes is None or (too_many and not only_panics):
                    number = self.picture.last
                    snapshot = self.snapshot(eyes)
                    if not only_panics:
                        for text in self._all(snapshot):
                            yield text
                    else:
                        for panic in snapshot["panics"]:
                            yield self._event("panic", panic, number)
                else:
                    for change in changes:
                        number = change.number
                        if only_panics and change.name != "panic":
                            continue
                        text = self._text(eyes, change)
                        if text:
                            yield text
                now_s = time.monotonic()
                wait_s = soonest_s - now_s
                if wait_s <= 0:
                    yield self._event("beat", self.beat(eyes), number)
                    soonest_s, wait_s = now_s + BEAT_AFTER_CHANGE_S, BEAT_EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
            yield self._event("signed-out", {}, number)
        finally:
            self._waiting.discard(changed)

    def _all(self, snapshot: dict[str, Any]) -> Iterator[str]:
        """The snapshot with its newest panics, then the others, some at a time: ten thousand in one go
        stop a browser for seconds. None has an id, so that who breaks off among them begins anew; the
        beat that follows has one. What changes meanwhile comes after it, as every change does.
        """
        panics = snapshot["panics"]
        yield self._event("snapshot", {**snapshot, "panics": panics[:FIRST_PANICS]}, None)
        for begin in range(FIRST_PANICS, len(panics), PANICS_AT_ONCE):
            yield self._event("panics", panics[begin : begin + PANICS_AT_ONCE], None)

    def snapshot(self, eyes: Eyes) -> dict[str, Any]:
        """All that these eyes may see."""
        whole = self.picture.snapshot(eyes.sees)
        if eyes.notes:
            return whole
        hidden = {n: [without_notes(a) for a in whole[n]] for n in ("panics", "alerts", "recent")}
        return {**whole, **hidden}

    def beat(self, eyes: Eyes = EVERYBODY) -> dict[str, Any]:
        """Proof of life, with the age of every source."""
        return {
            "now_ms": now_ms(),
            "fresh_ms": self.feeds.fresh_ms if self.feeds else {},
            "counts": self.picture.counts(eyes.sees),
            "alerts_open": self.picture.alerts_open(eyes.sees),
            "silent_devices": self.picture.silent_devices(eyes.sees),
            "first_event_ms": self.picture.first_event_ms,
        }

    def _number(self, last_id: str) -> int | None:
        found = re.fullmatch(r"(\d+)-(\d+)", last_id)
        return int(found[2]) if found and int(found[1]) == self.started_ms else None

    def _text(self, eyes: Eyes, change: Change) -> str:
        """Of a change as these eyes see it, made once for all who see the same; empty for nothing."""
        if eyes.sees is not everything and change.name in ("schools", "status"):
            seen = [one for one in change.data if eyes.sees(_school(change.name, one))]
            return self._event(change.name, seen, change.number) if seen else ""
        is_alert = change.name in ("panic", "alert", "life")
        if is_alert and not eyes.sees(change.data["school"]):
            return ""
        key = (change.number, eyes.notes or not is_alert)
        if key not in self._texts:
            data = change.data if key[1] else without_notes(change.data)
            self._texts[key] = self._event(change.name, data, change.number)
            if len(self._texts) > KEPT_TEXTS:
                self._texts.popitem(last=False)
        return self._texts[key]

    def _event(self, name: str, data: Any, number: int | None) -> str:
        text = _json(data).decode()
        id_ = "" if number is None else f"id: {self.started_ms}-{number}\n"
        return f"{id_}event: {name}\ndata: {text}\n\n"


def _school(name: str, one: Any) -> str:
    """Whose it is: one of a change named ``schools`` or ``status``."""
    school: str = one["id"] if name == "schools" else one[0]
    return school
