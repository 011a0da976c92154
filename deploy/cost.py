"""What the whole stack costs under load: processors, and what the engine does with each row."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from deploy.police import POLICE
from schemas.settings import ClickHouseSettings

LOOK_EVERY_S: Final = 1.0
NOT_OURS: Final = frozenset({POLICE, "simulator"})
"""Parts that stand for the world around the stack."""
_EVENTS: Final = ("MergedRows", "InsertQuery")


@dataclass(frozen=True, slots=True)
class Look:
    """At ``at_s`` (monotonic): CPU seconds that each part has used so far, and the engine's counters."""

    at_s: float
    cpu_s: Mapping[str, float]
    engine: Mapping[str, int]


class Meter:
    """Looks once a second, from ``start`` until ``stop``. ``cpu_s``: CPU seconds by part so far."""

    def __init__(
        self, settings: ClickHouseSettings, cpu_s: Callable[[], Mapping[str, float]]
    ) -> None:
        self._client = Client(**settings.driver_kwargs())
        self._cpu_s = cpu_s
        self._looks: list[Look] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> list[Look]:
        """All looks, in order."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(ClickHouseError, OSError, EOFError):
            await self._look()
        self._client.disconnect()
        return self._looks

    async def _run(self) -> None:
        while True:
            with suppress(ClickHouseError, OSError, EOFError):  # a look fewer
                await self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> None:
        engine = await asyncio.to_thread(engine_events, self._client)
        self._looks.append(Look(time.monotonic(), self._cpu_s(), engine))


def engine_events(client: Client) -> dict[str, int]:
    """Rows that merges have read, and INSERTs, since the engine began. Raises clickhouse-driver's errors."""
    found = client.execute(
        "SELECT event, value FROM system.events WHERE event IN %(events)s", {"events": _EVENTS}
    )
    return dict.fromkeys(_EVENTS, 0) | dict(found)


def cost(looks: Sequence[Look], began_s: float, ended_s: float, events: int) -> dict[str, Any]:
    """The figures of a load from ``began_s`` to ``ended_s`` (monotonic) of so many events.

    ``cpu_cores`` are those under load; ``cpu_us_per_event`` is of all looks from the load's begin on,
    those at what was left to do after it included, and of our own parts alone. The rest is of all
    looks. Raises ValueError without two looks.
    """
    if len(looks) < 2:
        raise ValueError("no two looks at the stack: the load was too short to tell what it costs")
    begin = max((look for look in looks if look.at_s <= began_s), default=looks[0], key=_at_s)
    end = min((look for look in looks if look.at_s >= ended_s), default=looks[-1], key=_at_s)
    last = looks[-1]
    cores = {
        part: round((cpu_s - begin.cpu_s.get(part, 0.0)) / max(end.at_s - begin.at_s, 0.001), 4)
        for part, cpu_s in end.cpu_s.items()
    }
    ours_s = sum(
        cpu_s - begin.cpu_s.get(part, 0.0)
        for part, cpu_s in last.cpu_s.items()
        if part not in NOT_OURS
    )
    merged = last.engine["MergedRows"] - looks[0].engine["MergedRows"]
    inserts = last.engine["InsertQuery"] - looks[0].engine["InsertQuery"]
    return {
        "cpu_cores": cores,
        "cpu_cores_in_all": round(sum(n for part, n in cores.items() if part not in NOT_OURS), 3),
        "cpu_us_per_event": round(ours_s / max(events, 1) * 1e6, 1),
        "merged_rows_per_row": round(merged / max(events, 1), 2),
        "inserts_per_s": round(inserts / max(last.at_s - looks[0].at_s, 0.001), 2),
    }


def _at_s(look: Look) -> float:
    return look.at_s
