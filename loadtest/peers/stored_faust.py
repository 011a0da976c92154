"""Stock Faust with take(): batches of 20,000 or 1 s, inserted in a thread, acknowledged by Faust."""

import asyncio

import faust

from loadtest.peers.faust_app import faust_app
from loadtest.peers.storing import BATCH, WITHIN_S, Task
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    task = Task()
    app = faust_app(task, "kafka")
    topic = app.topic(task.topic, value_serializer="raw")

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def store(stream: faust.StreamT[bytes]) -> None:
        async for events in stream.take_events(BATCH, within=WITHIN_S):
            batch = [
                (e.message.partition, e.message.offset, round(e.message.timestamp * 1000), e.value)
                for e in events
            ]
            await asyncio.to_thread(task.insert, batch)

    app.main()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
