"""All processes of ours, as data. Whoever lists processes derives the list from here.

A row is all that a new lane or service needs beside its own folder: `python -m streams NAME` starts it,
`saqshy up` gives it a port and waits for its health, the watchdog asks it, and the kill tests kill it.
Nothing of a process is imported before it is started.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal

from schemas.settings import Settings
from schemas.topics import (
    ALERTS,
    FACILITIES,
    HEARTBEATS,
    INCIDENTS,
    PANICS,
    PASSES,
    REGISTRY,
    STATUS,
    STEPS,
    Topic,
)

Kind = Literal["lane", "service"]
Need = Literal["kafka", "clickhouse", "disk"]
ShedAt = Literal["low", "critical"]

BULK: Final = 10
"""The nice value of what may wait: under load it has a tenth of what a press' path has (sched(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One row.

    ``factory``: "module:function", called with the settings, then ``given``, then the replica; it
    returns a streams.runtime.service.Service. ``topics``: what it reads, ``needs``: without which it
    does none of its work. ``replicas``: how many stand on one machine, by the suffix of their
    names. ``told``: it takes presses and steps past Kafka (streams.runtime.direct). ``shed_at``: at
    which mark of a disk that fills it is stopped (deploy.embedded.disk). ``with_``: the process that
    it is a part of on one machine; elsewhere it stands alone. ``module``: what `python -m` starts.
    ``member``: restarted, it has its partitions back without waiting for a session.
    """

    name: str
    kind: Kind
    factory: str
    does: str
    topics: tuple[Topic, ...] = ()
    needs: tuple[Need, ...] = ("kafka",)
    given: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ("",)
    nice: int = 0
    told: bool = False
    shed_at: ShedAt | None = None
    with_: str = ""
    module: str = "streams"
    member: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of its replicas."""
        return tuple(f"{self.name}-{replica}".strip("-") for replica in self.replicas)

    def made(self, settings: Settings, replica: str = "") -> Any:
        """The service that it is. Raises what its factory raises.

        Replicas of which one is "" are alike, and are not told which they are.
        """
        module, _, function = self.factory.partition(":")
        factory: Callable[..., Any] = getattr(import_module(module), function)
        told = () if "" in self.replicas else (replica,)
        return factory(settings, *self.given, *told)


@dataclass(frozen=True, slots=True)
class Part:
    """One process of one machine: its name, its rows, and what to give to `python -m`."""

    name: str
    rows: tuple[Process, ...]
    arguments: tuple[str, ...]

    @property
    def nice(self) -> int:
        return min(row.nice for row in self.rows)

    @property
    def told(self) -> bool:
        return any(row.told for row in self.rows)

    @property
    def module(self) -> str:
        return self.rows[0].module

    @property
    def member(self) -> bool:
        return any(row.member for row in self.rows)

    @property
    def shed_at(self) -> ShedAt | None:
        """A part is stopped as a whole: when all that it does may stop."""
        marks = {row.shed_at for row in self.rows}
        return None if None in marks else "critical" if "critical" in marks else "low"


# fmt: off
PROCESSES: Final = (
    Process(
        name="panic", kind="lane", factory="streams.panic.agent:app", topics=(PANICS,), replicas=("a", "b"),
        does="raises alerts, within milliseconds",
    ),
    Process(
        name="liveness", kind="lane", factory="streams.liveness.agent:app", member=True,
        topics=(HEARTBEATS, REGISTRY, STATUS, PANICS),
        does="finds silent devices and schools",
    ),
    Process(
        name="outage", kind="lane", factory="streams.outage.agent:app", nice=BULK, with_="context",
        topics=(STATUS, REGISTRY),
        does="makes one incident of many silences",
    ),
    Process(
        name="arrivals", kind="lane", factory="streams.arrivals.agent:app", nice=BULK, with_="context",
        topics=(PASSES, REGISTRY, STATUS, ALERTS),
        does="finds turnstiles that are alive but useless",
    ),
    Process(
        name="flow", kind="lane", factory="streams.store.agent:app", given=("flow",), nice=BULK,
        topics=(PASSES,), needs=("kafka", "clickhouse"), shed_at="low",
        does="stores passes",
    ),
    Process(
        name="incident", kind="lane", factory="streams.store.agent:app", given=("incident",), nice=BULK,
        topics=(INCIDENTS, FACILITIES, REGISTRY), needs=("kafka", "clickhouse"), shed_at="critical",
        with_="archive",
        does="stores incidents, facilities and the registry",
    ),
    Process(
        name="archive", kind="lane", factory="streams.store.agent:app", given=("archive",), nice=BULK,
        topics=(HEARTBEATS, PANICS, STATUS, ALERTS, STEPS), needs=("kafka", "clickhouse"), shed_at="critical",
        with_="archive",
        does="stores what the deciding lanes read and said",
    ),
    # Receivers of direct messages before their senders.
    Process(
        name="dispatch", kind="service", factory="streams.dispatch.process:service", told=True,
        topics=(ALERTS, STEPS, REGISTRY), needs=(), replicas=("", "b"),
        does="tells the police",
    ),
    Process(
        name="notify", kind="service", factory="streams.notify.process:service", told=True,
        topics=(ALERTS, STEPS), needs=("kafka", "disk"),
        does="pages people",
    ),
    Process(
        name="gateway", kind="service", factory="streams.gateway.process:service",
        topics=(PANICS, ALERTS, STEPS), needs=(),
        does="hears devices",
    ),
    Process(
        name="verify", kind="service", factory="streams.verify.process:service", nice=BULK, with_="context",
        topics=(ALERTS, STEPS, INCIDENTS),
        does="looks for what speaks for a panic",
    ),
    Process(
        name="watchdog", kind="service", factory="streams.watchdog.process:service",
        topics=(ALERTS,), needs=(),
        does="pages when we are the silent ones",
    ),
    Process(
        name="console", kind="service", factory="dashboards.console.server:service", told=True,
        topics=(REGISTRY, STATUS, STEPS, ALERTS), module="dashboards.console",
        does="the live map",
    ),
    Process(
        name="sampler", kind="service", factory="deploy.sampler:service", nice=BULK,
        needs=("clickhouse",), module="deploy.sampler",
        does="stores what all others say of themselves",
    ),
)
# fmt: on


def by_name(table: Sequence[Process] | None = None) -> dict[str, Process]:
    return {row.name: row for row in (PROCESSES if table is None else table)}


def parts(table: Sequence[Process] | None = None) -> tuple[Part, ...]:
    """The processes of one machine, in the order in which they start."""
    together: dict[str, list[Process]] = {}
    found: list[Part] = []
    rows = PROCESSES if table is None else table
    for row in rows:
        if row.with_:
            together.setdefault(row.with_, []).append(row)
    for row in rows:
        if row.with_:
            members = together.pop(row.with_, [])
            if members:
                found.append(Part(row.with_, tuple(members), tuple(one.name for one in members)))
            continue
        for name, replica in zip(row.names, row.replicas, strict=True):
            own = (row.name,) if row.module == "streams" else ()
            found.append(Part(name, (row,), (*own, *(("--replica", replica) if replica else ()))))
    return tuple(found)


def runnable(table: Sequence[Process] | None = None) -> dict[str, Process]:
    """What `python -m streams` starts, by name."""
    return {name: row for name, row in by_name(table).items() if row.module == "streams"}
