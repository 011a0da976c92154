"""A real Pager and a real Outbox on a clock of the test's, with receivers that behave as they are told."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from schemas.alerts import AlertChanged
from schemas.steps import StepTaken, Took
from streams.notify.messages import Entry, Piece
from streams.notify.outbox import Outbox
from streams.notify.pager import PagedBefore, Pager
from streams.notify.policy import Policies
from streams.paging.page import Call, Page
from streams.paging.retry import NotDelivered

Mood = Literal["takes", "refuses", "fails", "put off", "silent", "takes and is silent"]
READ_BACK_MS = 2 * 86_400_000
CALLS_OF_A_PIECE = 3


@dataclass
class Receiver:
    """``heard``: calls by the time at which they were; ``tried``: times of all attempts."""

    mood: Mood = "takes"
    heard: list[tuple[int, Call]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    tried: list[int] = field(default_factory=list)
    moods: set[Mood] = field(default_factory=set)

    def get(self, said: Page, now_ms: int) -> None:
        """Raises NotDelivered."""
        self.tried.append(now_ms)
        self.moods.add(self.mood)
        if self.mood in ("takes", "takes and is silent"):
            self.heard += [(now_ms, call) for call in said.calls]
        match self.mood:
            case "takes":
                self.taken.update(call.id for call in said.calls)
            case "refuses":
                raise NotDelivered("it answered 403", final=True)
            case "fails":
                raise NotDelivered("it answered 503")
            case "put off":
                raise NotDelivered("it answered 429", after_s=90)
            case _:
                raise NotDelivered("no answer", unclear=True)

    def whys(self, alert: str) -> list[str]:
        return [call.why for _, call in self.heard if call.alert == alert]

    def most_in_a_minute(self) -> int:
        tried = sorted(self.tried)
        return max(
            (sum(at <= one < at + 60_000 for one in tried) for at in tried),
            default=0,
        )


@dataclass
class Duty:
    """``receivers``: of each channel by name. ``rates``: messages a minute, where they are bounded."""

    folder: Path
    policies: Policies
    receivers: dict[str, dict[str, Receiver]]
    rates: Mapping[str, int] = field(default_factory=dict)
    now_ms: int = 1_800_000_000_000
    log: list[tuple[AlertChanged | StepTaken, int]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    leasing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.start()

    def cut(self, said: Page) -> list[Piece]:
        """Channels with a rate are cut, as people's are, into ten pieces at most."""
        many = len(said.calls)
        size = max(CALLS_OF_A_PIECE, -(-many // 10)) if said.channel in self.rates else many
        firsts = range(0, len(said.calls), size)
        return [
            Piece(name, number, first, min(first + size, len(said.calls)))
            for name in self.receivers.get(said.channel, ())
            for number, first in enumerate(firsts)
        ]

    def start(self) -> None:
        """As after a crash: from the outbox and from what Kafka has of two days."""
        self.outbox = box = Outbox(self.folder, self.cut)
        box._db.execute(
            "PRAGMA synchronous=OFF"
        )  # a crash of the machine is not what is tried here
        said = PagedBefore(box.made(), box.told(), box.ended(), box.unreached())
        self.pager = Pager(self.policies, list(self.receivers), said, self.leasing)
        for offset, (notice, at_ms) in enumerate(self.log):
            if at_ms >= self.now_ms - READ_BACK_MS:
                self._fold(notice, at_ms, offset)

    def restart(self) -> None:
        self.outbox.close()
        self.start()

    def say(self, notice: AlertChanged | StepTaken) -> None:
        self.log.append((notice, self.now_ms))
        self._fold(notice, self.now_ms, len(self.log))

    def _fold(self, notice: AlertChanged | StepTaken, at_ms: int, offset: int) -> None:
        if isinstance(notice, AlertChanged):
            self.pager.changed(notice, 0)
        else:
            self.pager.took(notice, at_ms, offset)

    def wait(self, seconds: float, tick_s: float = 1.0) -> None:
        until_ms = self.now_ms + round(seconds * 1000)
        while self.now_ms < until_ms:
            self.tick()
            self.now_ms += round(tick_s * 1000)

    def tick(self) -> None:
        pages = self.pager.pages(self.now_ms)
        self.pages += pages
        unreached = self.outbox.put(pages)
        for said in pages:
            self.pager.made(said)
        self.pager.unreached(unreached)
        self.each(self.send)
        self.tell()

    def each(self, do: Callable[[Receiver, Entry], None]) -> None:
        for channel, receivers in self.receivers.items():
            for name, receiver in receivers.items():
                rate = self.rates.get(channel, 0)
                # Until nothing is due: the process asks every moment, and a tick of this clock is long.
                while entries := self.outbox.take(channel, self.now_ms, 8, name, rate):
                    for entry in entries:
                        do(receiver, entry)

    def send(self, receiver: Receiver, entry: Entry) -> None:
        try:
            receiver.get(entry.page, self.now_ms)
        except NotDelivered as why:
            self.pager.unreached(self.outbox.failed(entry, why, self.now_ms))
        else:
            self.outbox.sent(entry, self.now_ms)

    def tell(self) -> None:
        """What the outbox has to say to Kafka."""
        while unsaid := self.outbox.to_say(1_000):
            for one in unsaid:
                self.say(one.step)
            self.outbox.said([one.number for one in unsaid])

    def steps(self, took: Took) -> list[StepTaken]:
        return [one for one, _ in self.log if isinstance(one, StepTaken) and one.took is took]
