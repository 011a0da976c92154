"""One device: its state machine, and what buffered heartbeats tell of a silence afterwards. Pure.

    unknown ──heard──> online <──heard── late          online ──all but one missed──> late
    any but online ──all missed──> offline, or maintenance while its silence is planned
    offline ──heard──> online, or flapping when it fell too often lately
    flapping ──calm──> online                           flapping ──all missed──> offline
    maintenance ──heard──> online                       offline ──planned work begins──> maintenance
    any ──the registry drops it──> retired

One heartbeat is lost now and then, so ``late`` is said when one more miss makes it offline: said from
the first, it would flood the status topic.
"""

from dataclasses import dataclass, field
from typing import Final

from schemas.alerts import AlertKind, Status, StatusChanged

FALL_TIMEOUTS: Final = 12
"""What one fall weighs, in the device's timeouts; the weight drains with time."""
FLAPPING_FALLS: Final = 2
"""It flaps when it returns with more than the weight of so many: at the third fall in 12 timeouts."""
MOST_FALLS: Final = 4
MOST_BOOTS: Final = 8
"""So many boots of a device are remembered, the one that runs now among them."""
RUN: Final = 3
"""Heartbeats in a row that open or close a finding: no more than a new owner recalls of each device,
so that it counts as its predecessor did."""
CALM_TIMEOUTS: Final = 6
"""A flapping device is online again when it was heard steadily for so long."""

KNOWN: Final = frozenset(AlertKind)
TROUBLE: Final = frozenset({Status.OFFLINE, Status.FLAPPING})
"""What is alerted. A flapping device keeps the alert of its fall: one alert, not one per flap."""


@dataclass(slots=True)
class Outage:
    """A silence that was said, in event time. ``seen_ms``: how far buffered heartbeats tell of it.

    ``hole``: the longest span within that has none. ``ended_ms``: the heartbeat that ended it, 0
    while it lasts.
    """

    seen_ms: int
    hole: tuple[int, int] = (0, 0)
    ended_ms: int = 0

    def replayed(self, event_ms: int) -> None:
        """A buffered heartbeat. They come in order, or nearly."""
        if event_ms > self.seen_ms and not 0 < self.ended_ms < event_ms:
            if event_ms - self.seen_ms > self.hole[1] - self.hole[0]:
                self.hole = (self.seen_ms, event_ms)
            self.seen_ms = event_ms

    def is_told(self, timeout_ms: int) -> bool:
        """Whether buffered heartbeats tell of it up to its end."""
        return bool(self.ended_ms) and self.ended_ms - self.seen_ms <= timeout_ms

    def true(self, timeout_ms: int) -> tuple[int, int] | None:
        """When the device itself was silent; None when only its connection was."""
        return self.hole if self.hole[1] - self.hole[0] > timeout_ms else None


@dataclass(slots=True)
class Device:
    """``heard_ms``: Kafka's time of the last live heartbeat, or from when on silence counts.

    ``sign_ms``: event time of the last sign of life, 0 for never. ``event_ms`` and ``lag_ms``: event
    time of the last heartbeat and how late it came. ``queued_ms``: its one live entry among the
    deadlines, 0 for none. ``plain``: a heartbeat without skew and buffer changes no finding.
    ``period_s`` is the registry's where it lists the device (``expected``), else what the last
    heartbeat claimed, ``claimed_s``. ``boot`` and ``seq`` name the newest heartbeat, which came at
    ``new_ms`` in Kafka's time; ``boots`` has the newest sequence of earlier boots.
    ``judged_ms``: until then its silence is planned. ``fell_ms``: when the
    trouble was decided that goes on. ``since_ms``, ``decided_ms`` and ``flaps_ms`` are the status's.
    """

    school: str
    name: str
    kind: str
    period_s: int
    heard_ms: int
    claimed_s: int = 0
    expected: bool = False
    boot: int = -1
    seq: int = -1
    boots: dict[int, int] | None = None
    new_ms: int = 0
    sign_ms: int = 0
    event_ms: int = 0
    lag_ms: int = 0
    queued_ms: int = 0
    judged_ms: int = 0
    status: Status = Status.UNKNOWN
    since_ms: int = 0
    decided_ms: int = 0
    fell_ms: int = 0
    flaps_ms: int = 0
    outage: Outage | None = None
    findings: dict[str, int] = field(default_factory=dict)
    plain: bool = True
    skew_run: int = -RUN
    buffer_run: int = -RUN
    period_run: int = -RUN
    buffered: int = 0

    def restore(self, said: StatusChanged) -> None:
        """The last word of a former owner."""
        # A device that was never heard is said to be silent since its deadline.
        heard = said.status is not Status.OFFLINE or said.since_ms < said.decided_ms
        self.status, self.since_ms, self.decided_ms = said.status, said.since_ms, said.decided_ms
        self.sign_ms = said.since_ms if heard else 0
        self.flaps_ms = said.flaps_ms
        if said.status in TROUBLE:
            self.fell_ms = said.fell_ms or said.decided_ms
        if said.status is Status.OFFLINE and heard:
            self.outage = Outage(said.since_ms)
        self.findings = {kind: at_ms for kind, at_ms in said.findings.items() if kind in KNOWN}
        if self.findings:
            self.plain, self.skew_run, self.buffer_run, self.period_run = False, 0, 0, 0

    def hear(
        self,
        event_ms: int,
        kafka_ms: int,
        grace_ms: int,
        timeout_ms: int,
        boot: int = 0,
        seq: int | None = None,
    ) -> bool:
        """Whether this heartbeat proves it alive now.

        Only a sequence that is newer than all of its boot does: a record that is sent again is no
        sign of life. An event time long past is either a buffer that is drained, in a burst, or a
        clock that is off: then the lag stays the same, or heartbeats come at their pace, whatever
        that clock says. Without ``seq``, newness goes by event time.
        """
        lag_ms = kafka_ms - event_ms
        period_ms = self.period_s * 1000
        if seq is not None:
            if not self.is_news(boot, seq):
                if lag_ms > period_ms + grace_ms and self.outage is not None:
                    self.outage.replayed(event_ms)
                return False
            self._note(boot, seq)
        steady = event_ms > self.event_ms and abs(lag_ms - self.lag_ms) * 2 <= period_ms
        paced = seq is not None and period_ms <= 2 * (kafka_ms - self.new_ms) <= 2 * timeout_ms
        self.event_ms, self.lag_ms, self.new_ms = event_ms, lag_ms, kafka_ms
        if lag_ms <= period_ms + grace_ms:
            self.sign_ms = event_ms if steady else max(event_ms, self.sign_ms)
        elif steady or paced:
            self.sign_ms = kafka_ms  # what its own clock says is no time to name to anybody
        else:
            self.sign_ms = max(event_ms, self.sign_ms)
            if self.outage is not None:
                self.outage.replayed(event_ms)
            return False
        self.heard_ms = kafka_ms
        return True

    def is_news(self, boot: int, seq: int) -> bool:
        """Whether this sequence is newer than all that were heard of its boot."""
        return seq > (self.seq if boot == self.boot else (self.boots or {}).get(boot, -1))

    def _note(self, boot: int, seq: int) -> None:
        if boot != self.boot and self.boot >= 0:
            boots = self.boots = self.boots or {}
            boots.pop(boot, None)
            boots[self.boot] = self.seq
            if len(boots) >= MOST_BOOTS:
                del boots[next(iter(boots))]
        self.boot, self.seq = boot, seq

    def back(self, event_ms: int, kafka_ms: int, timeout_ms: int) -> StatusChanged:
        """It is heard after silence: online since its first sign of life, or flapping."""
        if self.status is Status.OFFLINE:
            if self.outage is not None:
                self.outage.ended_ms = event_ms
            weight_ms = self.flaps_ms - (kafka_ms - self.decided_ms)
            if weight_ms > FLAPPING_FALLS * FALL_TIMEOUTS * timeout_ms:
                return self.turn(Status.FLAPPING, self.since_ms, kafka_ms)
            told = self.outage is not None and self.outage.is_told(timeout_ms)
            true = self.outage.true(timeout_ms) if told and self.outage is not None else None
            if true is not None:
                self.outage = None
                return self.turn(Status.ONLINE, true[1], kafka_ms)
        return self.turn(Status.ONLINE, event_ms, kafka_ms)

    def fall(self, deadline_ms: int, timeout_ms: int) -> StatusChanged:
        """It is silent, and nothing planned that."""
        since_ms = self.judged_ms if self.judged_ms > self.heard_ms else self.sign_ms
        if self.status is Status.FLAPPING:
            since_ms = self.since_ms
        else:
            self.fell_ms = deadline_ms
        counts = self.status in (Status.ONLINE, Status.LATE, Status.FLAPPING)
        turned = self.turn(Status.OFFLINE, since_ms or deadline_ms, deadline_ms)
        self.outage = Outage(self.sign_ms) if self.sign_ms else None
        if not counts:
            return turned
        fall_ms = FALL_TIMEOUTS * timeout_ms
        self.flaps_ms = min(self.flaps_ms + fall_ms, MOST_FALLS * fall_ms)
        return turned.model_copy(update={"flaps_ms": self.flaps_ms})

    def turn(self, status: Status, since_ms: int, decided_ms: int) -> StatusChanged:
        self.flaps_ms = max(0, self.flaps_ms - max(0, decided_ms - self.decided_ms))
        previous, self.status = self.status, status
        if status not in TROUBLE:
            self.fell_ms = 0
        self.since_ms, self.decided_ms = since_ms, decided_ms
        return self.said(previous)

    def said(self, previous: Status) -> StatusChanged:
        return StatusChanged(
            school=self.school,
            device=self.name,
            kind=self.kind,
            status=self.status,
            previous=previous,
            since_ms=self.since_ms,
            decided_ms=self.decided_ms,
            fell_ms=self.fell_ms,
            flaps_ms=self.flaps_ms,
            findings=dict(self.findings),
        )
