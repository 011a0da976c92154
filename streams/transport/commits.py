"""Commits in one generation of the group, those that come together in one request."""

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from streams.runtime.kafka import clients
from streams.transport.batch import Abandoned
from streams.transport.gate import Gate
from streams.transport.metrics import Metrics

_FENCED = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)


class Committer:
    """Sends offsets until the broker has answered or the generation is over."""

    def __init__(self, consumer: AIOKafkaConsumer, gate: Gate[TP], metrics: Metrics) -> None:
        self._consumer = consumer
        self._gate = gate
        self._metrics = metrics
        self._commits: list[_Commit] = []
        self._committing: asyncio.Task[None] | None = None

    async def commit(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        """Raises Abandoned, or aiokafka's KafkaError when the broker refuses."""
        commit = _Commit(tp, OffsetAndMetadata(offset, metadata), generation)
        self._commits.append(commit)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.ensure_future(self._commit_all())
        await commit.done

    async def _commit_all(self) -> None:
        while self._commits:
            commits, self._commits = self._commits, []
            await self._commit_together(commits)

    async def _commit_together(self, commits: list["_Commit"]) -> None:
        """Commits that came while another was under way share a request."""
        held = [commit for commit in commits if self._gate.holds(commit.tp, commit.generation)]
        for commit in commits:
            if commit not in held:
                commit.fail(Abandoned(f"{commit.tp} isn't ours in generation {commit.generation}"))
        if not held:
            return
        try:
            await self._send_commit(
                {TopicPartition(*commit.tp): commit.offset for commit in held}, held[0].generation
            )
        except Exception as exc:
            if len(held) > 1 and not isinstance(exc, Abandoned):
                for commit in held:  # one partition's error isn't the others'
                    await self._commit_together([commit])
                return
            for commit in held:
                commit.fail(exc)
        else:
            self._metrics.commits += len(held)
            for commit in held:
                commit.succeed()

    async def _send_commit(
        self, offsets: dict[TopicPartition, OffsetAndMetadata], generation: int
    ) -> None:
        """Send until the broker has answered, in this generation only.

        aiokafka's own `commit` retries in whatever generation the group has come to meanwhile,
        so that an old batch's offset could be committed over the next owner's.
        """
        consumer = self._consumer
        coordinator = clients.coordinator_of(consumer)
        while True:
            await coordinator.ensure_coordinator_known()
            try:
                async with coordinator._commit_lock:
                    if coordinator.generation != generation or coordinator._closing.done():
                        raise Abandoned(f"Generation {generation} is over")
                    await asyncio.shield(
                        coordinator._do_commit_offsets(clients.assignment_of(consumer), offsets)
                    )
            except _FENCED as exc:
                raise Abandoned(f"Generation {generation} is over: {exc!r}") from exc
            except KafkaError as exc:
                if not exc.retriable:
                    raise
                await asyncio.sleep(coordinator._retry_backoff_ms / 1000)
            else:
                return


class _Commit:
    def __init__(self, tp: TP, offset: OffsetAndMetadata, generation: int) -> None:
        self.tp = tp
        self.offset = offset
        self.generation = generation
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
