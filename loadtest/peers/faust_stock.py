"""Stock Faust, as its tutorial has it: one record at a time through a Record model."""

import faust

from loadtest.peers.faust_app import faust_app
from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var


class Pass(faust.Record, serializer="json"):  # type: ignore[misc, call-arg]
    school: str
    time_ms: int
    direction: str
    outcome: str


def main() -> None:
    job = Job()
    app = faust_app(job, "kafka")
    topic = app.topic(job.topic, value_type=Pass)

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def count(passes: faust.StreamT[Pass]) -> None:
        async for event in passes:
            job.count(event.school, event.time_ms)

    app.main()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
