"""Health, figures, and the door for presses and steps that Kafka does not take: POST /direct."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from streams.runtime.direct import HEADER, LARGEST_BYTES, Take, answer


def application(
    health: Callable[[], Mapping[str, Any]],
    exposition: Callable[[], Awaitable[str]],
    take: Take,
    secret_file: Path | None,
) -> web.Application:
    routes = web.RouteTableDef()

    @routes.get("/health")
    async def health_(_: web.Request) -> web.Response:
        said = health()
        return web.json_response(said, status=200 if said["ready"] else 503)

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=await exposition(), content_type="text/plain")

    @routes.post("/direct")
    async def direct(request: web.Request) -> web.Response:
        said = await answer(
            "notify", secret_file, request.headers.get(HEADER, ""), await request.read(), take
        )
        return web.json_response(said.body, status=said.status)

    it = web.Application(client_max_size=LARGEST_BYTES)
    it.add_routes(routes)
    return it
