"""Health, figures, and the door for presses and steps that Kafka does not take: POST /direct."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind
from schemas.direct import HEADER, NoSecret, is_gateways
from schemas.steps import StepTaken

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 64 * 1024

Take = Callable[[AlertChanged | StepTaken], Awaitable[bool]]
"""Takes a press or an operator's step; whether what follows is kept, so that the gateway may rely on
it."""


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
        """200: kept and on its way. 401, 422 for what is not the gateway's, 503: ask again."""
        if not _is_told(request.headers.get(HEADER, ""), secret_file):
            log.warning("refused: not the gateway's secret", peer=request.remote)
            return web.json_response({"error": "wrong or no secret"}, status=401)
        try:
            notice = NOTICE.validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": f"{error.error_count()} fields wrong"}, status=422)
        if isinstance(notice, StepTaken):
            await take(notice)
            return web.json_response({"kept": False})  # the step itself is kept by dispatch
        if not isinstance(notice, AlertChanged) or notice.kind is not AlertKind.PANIC:
            return web.json_response({"error": "only panics come this way"}, status=422)
        kept = await take(notice)
        return web.json_response({"kept": kept}, status=200 if kept else 503)

    it = web.Application(client_max_size=MAX_BYTES)
    it.add_routes(routes)
    return it


def _is_told(given: str, secret_file: Path | None) -> bool:
    """Without a secret nobody is let in."""
    try:
        return is_gateways(given, secret_file)
    except NoSecret as error:
        log.warning("nobody can tell directly", why=str(error))
        return False
