"""The full job, from a topic of passes to rows in ClickHouse: ours and what a user might write instead.

Each window has a database of its own and a group that has committed nothing; everyone reads the same
topic and fills the same tables, rollups included. Windows turn, so that a machine that drifts drifts
for all.
"""

import json
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError

from loadtest.throughput.exact import check, visible
from loadtest.throughput.stack import Stack, client
from loadtest.throughput.watched import Cost, MeasuredProcess, cost, watch
from schemas.settings import Settings
from schemas.topics import PASSES

FLOW_GROUP: Final = "saqshy-flow"
FORGET_S: Final = 30.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """``name`` is its key in the result. ``argv`` after ``python``."""

    name: str
    argv: tuple[str, ...]
    what: str


OURS: Final = Peer("saqshy", ("-m", "streams", "flow"), "python -m streams flow")
PEERS: Final = (
    OURS,
    Peer(
        "confluent",
        ("-m", "loadtest.peers.stored_confluent"),
        "confluent-kafka, clickhouse-driver",
    ),
    Peer(
        "kafka_python",
        ("-m", "loadtest.peers.stored_kafka_python"),
        "kafka-python, clickhouse-driver",
    ),
    Peer("faust", ("-m", "loadtest.peers.stored_faust"), "stock Faust, take(), clickhouse-driver"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one peer; ``wrong`` is empty when what it stored is exact."""

    peer: str
    cost: Cost
    wrong: tuple[str, ...]


def has_kafka_engine(connection: Client) -> bool:
    """Whether ClickHouse could read the topic itself. The embedded one knows the engine, but lets
    nobody make such a table, as it would reach the network."""
    try:
        connection.execute(
            "CREATE TABLE kafka_probe (value String) ENGINE = Kafka SETTINGS kafka_broker_list = "
            "'127.0.0.1:1', kafka_topic_list = 'none', kafka_group_name = 'none', "
            "kafka_format = 'JSONAsString'"
        )
    except ServerException:
        return False
    connection.execute("DROP TABLE kafka_probe SYNC")
    return True


def forget_group(settings: Settings) -> None:
    """So that the next worker of the flow lane begins at the beginning.

    Raises RuntimeError when it can't be deleted for FORGET_S, as it has members.
    """
    until_s = time.monotonic() + FORGET_S
    admin = KafkaAdminClient(**settings.kafka.kafka_python_kwargs())
    try:
        while True:
            with suppress(CoordinatorNotAvailableError):  # of a broker that has just started
                said = admin.delete_groups([FLOW_GROUP])[FLOW_GROUP]
                if said in ("OK", "GroupIdNotFoundError"):
                    return
            if time.monotonic() > until_s:
                raise RuntimeError(f"the group {FLOW_GROUP} can't be deleted: is a worker running?")
            time.sleep(0.2)
    finally:
        admin.close()


def environment(peer: Peer, settings: Settings) -> dict[str, str]:
    if peer is OURS:
        return settings.environment()
    task = {
        "topic": PASSES.name,
        "group": f"loadtest-{peer.name}-{uuid.uuid4().hex[:8]}",
        "kafka": settings.kafka.aiokafka_kwargs(),
        "clickhouse": settings.clickhouse.driver_kwargs(),
    }
    return {"PEER_TASK": json.dumps(task)}


def run_window(peer: Peer, stack: Stack, ends: Mapping[int, int], seconds: float) -> Window:
    """One peer from its start to the end of its window.

    Raises RuntimeError with its last words when it ends, and ValueError when the window is too short.
    """
    wanted = sum(ends.values())
    if peer is OURS:
        forget_group(stack.settings)
    with stack.database() as settings:
        connection = client(settings)
        log = settings.var / f"{peer.name}.log"
        try:
            with MeasuredProcess(peer.argv, environment(peer, settings), log) as worker:
                samples = watch(worker, lambda: sum(visible(connection).values()), wanted, seconds)
                found = cost(samples, worker.began_s, worker.peak_bytes)
            # After its end: what was on its way is stored or not, and must be exact either way.
            whole = samples[-1].rows >= wanted
            return Window(peer.name, found, check(connection, ends if whole else None).wrong)
        finally:
            connection.disconnect()


def windows(
    stack: Stack, ends: Mapping[int, int], *, seconds: float, rounds: int, tell: Tell
) -> tuple[list[Window], dict[str, str]]:
    """Every peer once per round, in turned order; and why a peer failed, if one did."""
    done: list[Window] = []
    failed: dict[str, str] = {}
    for round_ in range(rounds):
        turn = round_ % len(PEERS)
        for peer in (*PEERS[turn:], *PEERS[:turn]):
            if peer.name in failed:
                continue
            try:
                window = run_window(peer, stack, ends, seconds)
            except (RuntimeError, ValueError) as trouble:
                failed[peer.name] = str(trouble)[-500:]
                tell(f"{peer.name}: failed: {trouble}")
                continue
            done.append(window)
            tell(
                f"round {round_ + 1}/{rounds} {peer.name}: {window.cost.events_per_s:,.0f}/s, "
                f"{window.cost.cpu_us:.2f} us CPU per event, "
                + ("exact" if not window.wrong else "; ".join(window.wrong))
            )
    return done, failed


def summary(done: Sequence[Window]) -> dict[str, Any]:
    """Medians per peer, with the lowest and highest rate as the spread."""
    names = list(dict.fromkeys(window.peer for window in done))
    of = {name: [w.cost for w in done if w.peer == name] for name in names}

    def medians(figure: Callable[[Cost], float], digits: int) -> dict[str, float]:
        return {n: round(statistics.median(map(figure, of[n])), digits) for n in names}

    return {
        "events_per_s": {n: int(rate) for n, rate in medians(lambda c: c.events_per_s, 0).items()},
        "cpu_us_per_event": medians(lambda c: c.cpu_us, 2),
        "cpu_us_per_event_with_start": medians(lambda c: c.whole_cpu_us, 2),
        "first_rows_s": medians(lambda c: c.first_rows_s, 2),
        "memory_mb": medians(lambda c: c.memory_mb, 1),
        "spread": {
            n: [
                round(min(c.events_per_s for c in of[n])),
                round(max(c.events_per_s for c in of[n])),
            ]
            for n in names
        },
        "exact_by_name": {n: not any(w.wrong for w in done if w.peer == n) for n in names},
        "wrong": sorted({f"{w.peer}: {text}" for w in done for text in w.wrong}),
    }
