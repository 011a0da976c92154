"""Stock Faust with take(): raw bytes in batches of 1,000 or 0.1 s."""

import faust

from loadtest.peers.faust_app import faust_app
from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    job = Job()
    app = faust_app(job, "kafka")
    topic = app.topic(job.topic, value_serializer="raw")

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def count(stream: faust.StreamT[bytes]) -> None:
        async for values in stream.take(1000, within=0.1):
            job.do(values)

    app.main()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
