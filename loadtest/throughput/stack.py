"""What a benchmark runs against: an embedded broker and engine of its own, or the settings' own."""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clickhouse_driver import Client

from loadtest.simulator.target import check_target
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings, stack_file


@dataclass(frozen=True, slots=True)
class Aim:
    """``external``: load what the settings name, of which ``owned`` hosts may be elsewhere."""

    external: bool = False
    owned: tuple[str, ...] = ()

    def check(self, settings: Settings) -> None:
        """Raises typer.BadParameter before anybody else's machine is loaded."""
        if self.external:
            check_target(settings.kafka.bootstrap, list(self.owned))
            check_target(f"{settings.clickhouse.host}:{settings.clickhouse.port}", list(self.owned))


@dataclass(slots=True)
class Stack:
    """Where broker and engine are, with a database for each run."""

    settings: Settings
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def database(self) -> Iterator[Settings]:
        """The settings with a migrated database that is gone afterwards."""
        name = f"saqshy_bench_{next(self._numbers)}"
        clickhouse = self.settings.clickhouse.model_copy(update={"database": name})
        _drop(self.settings.clickhouse, name)
        migrate(clickhouse)
        try:
            yield self.settings.model_copy(update={"clickhouse": clickhouse})
        finally:
            _drop(self.settings.clickhouse, name)


def client(settings: Settings) -> Client:
    return Client(**settings.clickhouse.driver_kwargs())


def _drop(settings: ClickHouseSettings, database: str) -> None:
    with Client(**settings.driver_kwargs() | {"database": "default"}) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {database} SYNC")


@contextmanager
def stack(
    settings: Settings, aim: Aim, tell: Callable[[str], None], *, engine: bool = True
) -> Iterator[Stack]:
    """Broker and, if wanted, engine; embedded ones live in a temporary folder.

    Raises typer.BadParameter for a host that isn't said to be ours, supervisor.PartFailed when an
    embedded part doesn't start.
    """
    aim.check(settings)
    if aim.external:
        yield Stack(settings)
        return
    # Benchmarks start what they measure; the simulator runs without the embedded parts.
    from deploy.embedded.stack import stack_parts
    from deploy.supervisor import Supervisor

    with tempfile.TemporaryDirectory(prefix="saqshy-bench-") as folder, asyncio.Runner() as runner:
        var = Path(folder)
        supervisor = Supervisor(var / "log", lambda notice: tell(f"{notice.part} {notice.what}"))
        parts = stack_parts(settings.model_copy(update={"var": var}))
        try:
            runner.run(supervisor.start(*(parts if engine else parts[:1])))
            written = json.loads(stack_file(var).read_text())
            there = {
                "var": var,
                "kafka": KafkaSettings(
                    **written["kafka"] | {"partitions": settings.kafka.partitions}
                ),
                "clickhouse": ClickHouseSettings(**written["clickhouse"]),
            }
            yield Stack(settings.model_copy(update=there))
        finally:
            runner.run(supervisor.stop())
