"""That a pending block is ours to insert, shown by a commit that Kafka has accepted."""

from collections.abc import Callable
from typing import Final, Protocol

from faust.types import TP

PROVE_OWNERSHIP_AFTER_S: Final = 5.0


class Commits(Protocol):
    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None: ...


class Claim:
    """We may sleep while another takes over and goes on beyond the tokens that ClickHouse remembers: so
    a proof that is older than PROVE_OWNERSHIP_AFTER_S is made anew before an insert.
    """

    def __init__(
        self,
        consumer: Commits,
        monotonic_s: Callable[[], float],
        tp: TP,
        offset: int,
        metadata: str,
        generation: int,
    ) -> None:
        self.tp = tp
        self._consumer = consumer
        self._monotonic_s = monotonic_s
        self._offset = offset
        self._metadata = metadata
        self._generation = generation
        self._proven_s = 0.0

    async def prove(self) -> None:
        """Raises Abandoned when the partition isn't ours any more."""
        asked_s = self._monotonic_s()
        await self._consumer.commit_at(self.tp, self._offset, self._metadata, self._generation)
        self._proven_s = asked_s

    async def renew(self) -> None:
        if self._monotonic_s() - self._proven_s > PROVE_OWNERSHIP_AFTER_S:
            await self.prove()
