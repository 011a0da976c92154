"""`python -m loadtest transport`: our batch transport beside the consumers a user might pick.

Every peer does the same job (loadtest.peers.work) on the same preloaded topic of the same broker, one
at a time, in rounds whose order turns, so that a machine that drifts drifts for all.
"""

import json
import os
import statistics
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka.admin import KafkaAdminClient

from loadtest.throughput.preload import preload_passes
from schemas.settings import Settings

PEERS_HOME: Final = Path(__file__).parents[1] / "peers"
PARTITIONS: Final = 8
INSTALL: Final = ("-m", "pip", "install", "-q", "--require-hashes", "-r")


@dataclass(frozen=True, slots=True)
class Peer:
    """``name`` is its key in the result; ``module`` does the job; ``apart`` has its own packages."""

    name: str
    module: str
    what: str
    apart: bool = False


PEERS: Final = (
    Peer("saqshy", "loadtest.peers.saqshy", "batch transport under a Faust agent"),
    Peer("aiokafka", "loadtest.peers.aiokafka_floor", "getmany(10000): the floor"),
    Peer("confluent", "loadtest.peers.confluent", "librdkafka, consume(10000)"),
    Peer("quixstreams", "loadtest.peers.quix", "streaming dataframe", apart=True),
    Peer("kafka_python", "loadtest.peers.kafka_python", "poll(10000)"),
    Peer("bytewax", "loadtest.peers.bytewax_flow", "dataflow with its Kafka source", apart=True),
    Peer("faust_take", "loadtest.peers.faust_take", "stock Faust, take(1000)"),
    Peer("faust", "loadtest.peers.faust_stock", "stock Faust, Record model, one by one"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one peer."""

    peer: str
    events_per_s: float
    cpu_us_per_event: float
    memory_mb: float


def peers_python(var: Path) -> Path:
    """The interpreter of the peers' own environment, made on first use, and anew
    when its lock file changes.

    Raises subprocess.CalledProcessError when it can't be installed.
    """
    home = var.absolute() / "peers-venv"
    python = home / "bin" / "python"
    mark, wanted = home / "installed", (PEERS_HOME / "requirements.lock").read_text()
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(
            [str(python), *INSTALL, str(PEERS_HOME / "requirements.lock")],
            check=True,
        )
        mark.write_text(wanted)
    return python


def run_window(
    peer: Peer, python: Path, settings: Settings, topic: str, seconds: float, records: int
) -> Window:
    """One peer in a process of its own, with a new group. Raises RuntimeError with its last words."""
    task = {
        "topic": topic,
        "group": f"loadtest-{peer.name}-{uuid.uuid4().hex[:8]}",
        "kafka": settings.kafka.aiokafka_kwargs(),
        "seconds": seconds,
        "records": records,
    }
    done = subprocess.run(
        [str(python), "-m", peer.module],
        env={**os.environ, "PEER_TASK": json.dumps(task), "PYTHONPATH": str(PEERS_HOME.parents[1])},
        capture_output=True,
        text=True,
        timeout=seconds + 90,
        check=False,
    )
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"{peer.name} said nothing useful: {done.stderr[-800:]}") from None
    if said["counted"] != said["events"]:
        raise RuntimeError(f"{peer.name} counted {said['counted']} of {said['events']} events")
    return Window(
        peer=peer.name,
        events_per_s=said["events"] / said["seconds"],
        cpu_us_per_event=said["cpu_s"] / said["events"] * 1e6,
        memory_mb=said["memory_mb"],
    )


def compare_transports(
    settings: Settings,
    *,
    records: int,
    seconds: float,
    rounds: int,
    seed: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Preload a topic, run all peers in turn for so many rounds, and take medians."""
    topic = f"loadtest.transport.{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(**settings.kafka.kafka_python_kwargs())
    admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": 1}})
    try:
        tell(f"preloading {records:,} passes")
        preload_passes(settings, topic, records, seed)
        pythons = {False: Path(sys.executable), True: peers_python(settings.var)}
        windows: list[Window] = []
        failed: dict[str, str] = {}
        for round_ in range(rounds):
            for peer in _turned(PEERS, round_):
                if peer.name in failed:
                    continue
                try:
                    window = run_window(
                        peer, pythons[peer.apart], settings, topic, seconds, records
                    )
                except (RuntimeError, subprocess.TimeoutExpired) as trouble:
                    failed[peer.name] = str(trouble)[-500:]
                    tell(f"{peer.name}: failed: {trouble}")
                    continue
                windows.append(window)
                tell(
                    f"round {round_ + 1}/{rounds} {peer.name}: {window.events_per_s:,.0f}/s, "
                    f"{window.cpu_us_per_event:.2f} us CPU per event"
                )
    finally:
        admin.delete_topics([topic])
        admin.close()
    return {
        **summary(windows),
        "failed": failed,
        "records": records,
        "rounds": rounds,
        "limit": "system",  # everything was preloaded: no generator runs in a window
    }


def _turned(peers: Sequence[Peer], by: int) -> list[Peer]:
    turn = by % len(peers)
    return [*peers[turn:], *peers[:turn]]


def summary(windows: Sequence[Window]) -> dict[str, Any]:
    """Medians per peer, with the lowest and highest rate as the spread."""
    names = list(dict.fromkeys(window.peer for window in windows))
    of = {name: [w for w in windows if w.peer == name] for name in names}
    median = statistics.median
    return {
        "events_per_s": {n: round(median(w.events_per_s for w in of[n])) for n in names},
        "cpu_us_per_event": {n: round(median(w.cpu_us_per_event for w in of[n]), 2) for n in names},
        "memory_mb": {n: round(median(w.memory_mb for w in of[n]), 1) for n in names},
        "spread": {
            n: [
                round(min(w.events_per_s for w in of[n])),
                round(max(w.events_per_s for w in of[n])),
            ]
            for n in names
        },
    }
