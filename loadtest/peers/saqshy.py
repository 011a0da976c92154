"""Ours: the batch transport under a Faust agent."""

import faust

from loadtest.peers.faust_app import faust_app
from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var
from streams.transport import Batch, batches


def main() -> None:
    job = Job()
    app = faust_app(job, "batch")
    channel = batches(app, [job.topic])

    @app.agent(channel, concurrency=1)  # type: ignore[untyped-decorator]
    async def count(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            with batch:
                job.do(record.value for record in batch.records)
                await batch.commit()

    app.main()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
