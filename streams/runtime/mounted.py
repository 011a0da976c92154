"""/health and /metrics as routes of a public face, which has a server of its own."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streams.runtime.metrics import CONTENT_TYPE
from streams.runtime.service import Service, health_of, metrics_of


def mounted(services: Sequence[Service]) -> list[Route]:
    """What ``services`` say of themselves; the process is named as the first."""

    async def health(_: Request) -> Response:
        status, body = health_of(services)
        return JSONResponse(body, status)

    async def metrics(_: Request) -> Response:
        return Response(await metrics_of(services[0].name, services), media_type=CONTENT_TYPE)

    return [Route("/health", health), Route("/metrics", metrics)]
