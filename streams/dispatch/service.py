"""One dispatch process: reads alerts and steps, decides (streams.dispatch.decide), sends, records steps.

Theory of operation. State is a Life per alert and nothing else that matters. Input arrives from three
sources (Kafka, the direct way, and the journal at a start), in any order and more than once. The fold and
the deterministic step ids make one course of it, so each input is handled as if it were the only one.

``consider`` is the whole loop: it asks the pure decision what to do about one alert now and when to ask
again, starts the sends, and sets one timer. It is called whenever something changed and when the timer
fires. The journal keeps each message with its sequence number while it is sent, unless the disk is slow: a
process that dies before the answer repeats it under the same number, by which the center knows it.

A standby process reads everything, too, but neither decides nor writes until it holds the lock
(streams.dispatch.turn). Until the past has been read (``speak``), nothing is decided: an alarm that was
closed long ago must not be sent again because its close has not been read yet.

What is not nice: a step told directly is stamped with our own clock until Kafka has it, so two such
steps of one millisecond have no order between them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from schemas.alerts import Action, AlertChanged, AlertKind
from schemas.events import is_canary
from schemas.life import Life, Stamped
from schemas.steps import StepTaken, Took
from streams.dispatch.alarm import Adapter, Alarm, Receipt, alarm_of, receiver_of
from streams.dispatch.centers import Center, Centers, way_of
from streams.dispatch.decide import Kind, Plan, Send, decide, step, step_of
from streams.dispatch.journal import Journal, Restored
from streams.dispatch.school_address import SchoolAddress

log = structlog.get_logger(__name__)

HORIZON_MS: Final = 24 * 3_600_000
"""Alerts that nobody has touched for so long are forgotten."""
SAME_ALARM_MS: Final = 10 * 60_000
AT_ONCE: Final = 20
"""Alerts decided on at a start before what was decided begins."""
DISK_WITHIN_S: Final = 0.3
"""A disk that takes longer counts as one that fails: the police wait for none."""


@dataclass(slots=True)
class Counters:
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    escalated: int = 0
    direct: int = 0
    canaries: int = 0


class Dispatch:
    """``say`` takes each step to Kafka; ``now_ms`` is Kafka's clock."""

    def __init__(
        self,
        centers: Centers,
        adapters: Mapping[str, Adapter],
        journal: Journal,
        say: Callable[[StepTaken], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._centers = centers
        self._adapters = adapters
        self._journal = journal
        self._say = say
        self._now_ms = now_ms
        self._alarms: dict[str, Alarm] = {}
        self._in_flight: set[str] = set()
        self._wakes: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lent: list[Stamped] = []
        self._alerts_of: defaultdict[str, set[str]] = defaultdict(set)
        self.lives: dict[str, Life] = {}
        self.schools: dict[str, SchoolAddress] = {}
        self.counters = Counters()
        self.speaking = False

    def restore(self, kept: Restored) -> None:
        """What the journal had, which is open now. What was handed over while we stood by goes into it."""
        self._alarms = dict(kept.alarms)
        self.schools = {**kept.schools, **self.schools}
        for transition in kept.told:
            self._heard(transition)
        for stamped in kept.steps:
            self._life(stamped.step.alert).took(stamped.step, stamped.kafka_ms, stamped.offset)
        there = {stamped.step.id for stamped in kept.steps}
        for stamped in self._lent:
            if stamped.step.id not in there:
                self._begin(self._keep(stamped))
        self._lent.clear()

    async def speak(self) -> None:
        """From now on decide; before, the past was still being read. What came last comes first: it may
        wait to be sent, while most of what came before was.
        """
        self.speaking = True
        self._forget()
        for number, alert in enumerate(reversed(list(self.lives))):
            self.consider(alert)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def changed(self, transition: AlertChanged) -> None:
        if transition.kind is not AlertKind.PANIC:
            return
        if is_canary(transition.school):
            self.counters.canaries += 1
            return
        if self._heard(transition):
            self.consider(transition.id)

    def took(self, step: StepTaken, kafka_ms: int, offset: int) -> None:
        if self._life(step.alert).took(step, kafka_ms, offset):
            self.consider(step.alert)

    def registered(self, school: SchoolAddress) -> bool:
        """Whether this was news."""
        news = self.schools.get(school.school) != school
        self.schools[school.school] = school
        return news

    async def told(self, transition: AlertChanged) -> bool:
        """By the gateway, as Kafka does not take it. On disk before this returns, if the disk works.

        Returns False for a press of an open alarm and for what Kafka delivered first.
        """
        if transition.kind is not AlertKind.PANIC or is_canary(transition.school):
            return False
        self.counters.direct += 1
        if self._known(transition):
            return False
        news = self._heard(transition)
        if news and self._journal.is_open:
            kept = self._journal.told(transition)
            self.consider(transition.id)
            await kept
        return news

    async def told_step(self, step: StepTaken) -> bool:
        """By the console, as Kafka does not take what an operator did: it is said to Kafka from here.

        Whether it is on disk.
        """
        self.counters.direct += 1
        life = self._life(step.alert)
        if step.id in life.steps:
            return True
        stamped = self._take(life, step)
        if not self._journal.is_open:
            self._lent.append(stamped)
            return False
        self.consider(step.alert)
        return await self._keep(stamped)

    def _heard(self, transition: AlertChanged) -> bool:
        self._alerts_of[transition.school].add(transition.id)
        return self._life(transition.id).changed(transition)

    def _known(self, transition: AlertChanged) -> bool:
        for life in (self._life(alert) for alert in self._alerts_of[transition.school]):
            if any(t.event == transition.event for t in life.transitions.values()):
                return True
            recent = transition.decided_ms - life.raised_ms <= SAME_ALARM_MS
            real = any(not t.late and not t.drill for t in life.causes())
            if life.id != transition.id and life.open and recent and real:
                return transition.action is Action.OPENED
        return False

    def consider(self, alert: str) -> None:
        """Decide on one alert and begin what follows."""
        life = self.lives.get(alert)
        if not self.speaking or life is None or not life.transitions:
            return
        now_ms = self._now_ms()
        way = way_of(self._centers, self.schools.get(life.first.school))
        plan = decide(life, way, now_ms, self._in_flight)
        for tell in plan.tells:
            taken = self._take(life, step(life, tell, tell.took, now_ms, tell.note))
            self._begin(self._keep(taken))
            self.counters.escalated += tell.took is Took.ESCALATED
        for send in plan.sends:
            center = self._centers.by_id(send.center)
            if center is not None:
                self._in_flight.add(send.message)
                self._begin(self._attempt(life, center, send))
        self._wake_later(alert, plan, now_ms)

    def _wake_later(self, alert: str, plan: Plan, now_ms: int) -> None:
        before = self._wakes.pop(alert, None)
        if before is not None:
            before.cancel()
        if plan.wake_ms is not None:
            after_s = max(0.001, (plan.wake_ms - now_ms) / 1000)
            loop = asyncio.get_running_loop()
            self._wakes[alert] = loop.call_later(after_s, self.consider, alert)

    async def _attempt(self, life: Life, center: Center, send: Send) -> None:
        try:
            alarm = self._alarm(life, center, send)
            receiver = receiver_of(center, send.attempt)
            now_ms = self._now_ms()
            sent = self._take(life, step(life, send, Took.SENT, now_ms, center.addresses[receiver]))
            keeping = self._journal.sending(alarm, _line(center, alarm.school), sent)
            await asyncio.wait({asyncio.ensure_future(keeping)}, timeout=DISK_WITHIN_S)
            self._say(sent.step)
            self.counters.sent += 1
            receipt = await self._send(center, alarm, receiver)
            took = Took.DELIVERED if receipt.taken else Took.FAILED
            self.counters.delivered += receipt.taken
            self.counters.failed += not receipt.taken
            if not receipt.taken:
                log.warning("not delivered", alert=life.id, center=center.id, why=receipt.note)
            result = step(life, send, took, self._now_ms(), receipt.note)
            await self._keep(self._take(life, result))
        finally:
            self._in_flight.discard(send.message)
        self.consider(life.id)

    async def _send(self, center: Center, alarm: Alarm, receiver: int) -> Receipt:
        try:
            return await self._adapters[center.id].send(alarm, receiver)
        except Exception as error:  # a fault of ours is one more reason to try again
            log.exception("an adapter failed", center=center.id)
            return Receipt(taken=False, note=repr(error))

    def _alarm(self, life: Life, center: Center, send: Send) -> Alarm:
        """The message as it was sent first."""
        alarm = self._alarms.get(send.message)
        if alarm is None:
            school = self.schools.get(life.first.school)
            seq = self._journal.next_seq(_line(center, life.first.school))
            refers_to: tuple[tuple[str, int], ...] = ()
            if send.kind is not Kind.ALERT:
                about = step_of(life, send.epoch_ms, Took.SENT, center.id, Kind.ALERT, 0)
                at = self._alarms.get(about)
                refers_to = ((about, at.sent_ms if at else life.raised_ms),)
            alarm = alarm_of(life, send, school, seq, self._now_ms(), refers_to)
            self._alarms[send.message] = alarm
        return alarm

    def _take(self, life: Life, taken: StepTaken) -> Stamped:
        """Known here at once, as if Kafka had stamped it now; behind what reopened the alert."""
        stamped = Stamped(max(self._now_ms(), life.reopened_ms + 1), 0, taken)
        life.took(taken, stamped.kafka_ms, stamped.offset)
        return stamped

    async def _keep(self, stamped: Stamped) -> bool:
        """Whether it is on disk; it is said in any case."""
        kept = await self._journal.took(stamped)
        self._say(stamped.step)
        return kept

    def _life(self, alert: str) -> Life:
        return self.lives.setdefault(alert, Life(alert))

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("an attempt broke off", exc_info=task.exception())

    def _forget(self) -> None:
        before_ms = self._now_ms() - HORIZON_MS
        for alert, life in list(self.lives.items()):
            if life.newest_ms < before_ms:
                del self.lives[alert]
                if life.transitions:
                    self._alerts_of[life.first.school].discard(alert)
                self._wake_later(alert, Plan(), 0)
        alive = {send for send, alarm in self._alarms.items() if alarm.alert in self.lives}
        self._alarms = {message: self._alarms[message] for message in alive}

    async def forget_hourly(self) -> None:
        while True:
            await asyncio.sleep(3_600)
            self._forget()

    async def close(self) -> None:
        """Attempts that are under way may end; their results are in the journal or unknown."""
        for wake in self._wakes.values():
            wake.cancel()
        self.speaking = False
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3)


def _line(center: Center, school: str) -> str:
    """Whose sequence numbers count up together: a school is an account of its own at a center."""
    return f"{center.id}/{school}"
