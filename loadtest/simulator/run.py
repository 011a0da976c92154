"""One run of the simulator: the registry first, then a peak or a day, then the account of it."""

import gc
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from loadtest.simulator.country import School, country
from loadtest.simulator.day import Script, day
from loadtest.simulator.encode import Encoder, registry
from loadtest.simulator.faults import plan
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.peak import Mix, peak, peak_fleet
from loadtest.simulator.producer import SINKS, Sink, Tally, registry_is_empty, transmit
from loadtest.simulator.stream import Batch, Batches, OpenLoop, Truth, wall_clock_ms
from schemas.events import DeviceKind
from schemas.settings import Settings

FLUSH_S: Final = 60.0
STOP_S: Final = 10.0  # who was told to stop is not waited for long
START_IN_MS: Final = 500  # the stream is laid out before its first batch is due
WITHOUT_END_S: Final = 7 * 86_400.0
REGISTRY_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """A steady peak if ``peak_per_s`` is given, else a school day. ``lasting_s`` is real time."""

    schools: int
    seed: int
    lasting_s: float | None
    peak_per_s: float | None
    panics: int | None
    garbage: int
    local_start_s: float
    speed: float
    cards: float
    faults: float
    panic_every_s: float
    gateway_period_s: int
    device_period_s: int
    registry: bool | None
    producer: str
    truth: Path


def run(
    wanted: LoadOptions, settings: Settings, loop: OpenLoop, progress: "Progress"
) -> dict[str, Any]:
    """Returns the report: what was acknowledged, by topic and by type, and what to expect of it.

    Raises KafkaError when the broker can't be used at all. Ends early when ``loop.stop`` is set.
    """
    encoder = Encoder(_fleet(wanted), wanted.seed)
    gc.freeze()  # a collection that walks 80,000 devices would hold up the schedule
    with ExitStack() as cleanup:
        sink = SINKS[wanted.producer](settings.kafka)
        cleanup.callback(sink.close)
        if _registers(wanted, settings):
            transmit(_in_chunks(encoder), sink, stop=loop.stop)
            sink.flush(FLUSH_S)
        registered = sink.tally.produced.total()
        wanted.truth.parent.mkdir(parents=True, exist_ok=True)
        labels = cleanup.enter_context(wanted.truth.open("w"))

        def told(truth: Truth) -> None:
            labels.write(json.dumps(truth.as_json()) + "\n")
            labels.flush()

        start_ms = wall_clock_ms() + START_IN_MS
        transmit(
            _batches(wanted, encoder, start_ms, loop),
            sink,
            stop=loop.stop,
            told=told,
            progress=progress,
        )
        seconds = (wall_clock_ms() - start_ms) / 1000
        sink.flush(STOP_S if loop.stop.is_set() else FLUSH_S)
    return _report(sink, loop, seconds, registered)


def _fleet(wanted: LoadOptions) -> Fleet:
    schools: list[School] = country(wanted.seed, wanted.schools)
    boot = wall_clock_ms()  # so that another run of the same seed is no duplicate of this one
    if wanted.peak_per_s is not None:
        return peak_fleet(schools, wanted.peak_per_s, boot)
    periods = dict.fromkeys(DeviceKind, wanted.device_period_s)
    return Fleet(schools, boot, {**periods, DeviceKind.GATEWAY: wanted.gateway_period_s})


def _registers(wanted: LoadOptions, settings: Settings) -> bool:
    """A peak promises other heartbeat periods than a day, so it always says so first."""
    if wanted.registry is not None:
        return wanted.registry
    return wanted.peak_per_s is not None or registry_is_empty(settings.kafka)


def _in_chunks(encoder: Encoder) -> Batches:
    records = iter(registry(encoder, wall_clock_ms()))
    while chunk := list(islice(records, REGISTRY_CHUNK)):
        yield Batch(chunk)


def _batches(wanted: LoadOptions, encoder: Encoder, start_ms: int, loop: OpenLoop) -> Batches:
    lasting_s = wanted.lasting_s or WITHOUT_END_S
    seed = wanted.seed
    if wanted.peak_per_s is not None:
        panics = round(lasting_s * 5) if wanted.panics is None else wanted.panics
        mix = Mix(wanted.peak_per_s, lasting_s, panics, wanted.garbage)
        return peak(encoder, mix, seed=seed, start_ms=start_ms, pace=loop)
    # Faster than the clock: it begins in the past and catches up with now at its end.
    began_ms = start_ms - round(lasting_s * (wanted.speed - 1) * 1000)
    script = Script(
        start_ms=began_ms,
        duration_s=lasting_s * wanted.speed,
        local_start_s=wanted.local_start_s,
        speed=wanted.speed,
        cards=wanted.cards,
        panic_every_s=wanted.panic_every_s,
    )
    faults = plan(
        encoder.fleet,
        seed=seed,
        start_ms=began_ms,
        duration_s=script.duration_s,
        scale=wanted.faults,
    )
    return day(encoder, script, faults, seed=seed, real_start_ms=start_ms, pace=loop)


def _report(sink: Sink, loop: OpenLoop, seconds: float, registered: int) -> dict[str, Any]:
    tally = sink.tally
    failed = dict(tally.failed)
    if tally.outstanding:
        failed["unanswered"] = tally.outstanding
    return {
        "produced": dict(sorted(tally.produced.items())),
        "by_type": tally.by_type,
        "panics": tally.presses,
        "expected_dead_letters": tally.expected_dead_letters,
        "failed": failed,
        "behind_ms": loop.max_behind_ms,
        "seconds": round(seconds, 3),
        "events_per_s": round((tally.produced.total() - registered) / max(seconds, 0.001), 1),
    }


class Progress:
    """Tells ``line`` how far the run is, every ``every_ms``."""

    def __init__(self, loop: OpenLoop, line: Callable[[str], None], every_ms: int = 10_000) -> None:
        self._loop = loop
        self._line = line
        self._every_ms = every_ms
        self._next_ms = loop.clock() + every_ms

    def __call__(self, tally: Tally) -> None:
        now_ms = self._loop.clock()
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + self._every_ms
            self._line(
                f"{tally.produced.total():,} acknowledged, {len(tally.presses)} presses,"
                f" {self._loop.behind_ms} ms behind schedule"
            )
