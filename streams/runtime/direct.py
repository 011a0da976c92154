"""The direct way past Kafka: POST <url>, a notice as JSON, with a secret that both ends share.

The gateway tells presses that Kafka does not take in time, and that its own disk refuses them; the console
tells what operators do meanwhile. Each tells everybody on its list, and everybody answers alike:

- 200 ``{"kept": true}``: it is on the receiver's disk.
- 200 ``{"kept": false}``: the receiver has acted on it, knows it already, or it is none of its matter.
- 401, 503: the secret is wrong, or the receiver has none. 422: no notice, or one that nobody says directly.
- 503: ask again.

A repeat is known by the ids of alert and event, so telling twice does nothing.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import structlog
from aiohttp import web
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind
from schemas.steps import StepTaken

log = structlog.get_logger(__name__)

HEADER: Final = "X-Saqshy-Direct"
LARGEST_BYTES: Final = 64 * 1024
CONNECTIONS_PER_HOST: Final = 50

DirectNotice = AlertChanged | StepTaken
STEP: Final = "step"
DIRECT_KINDS: Final = frozenset({AlertKind.PANIC, AlertKind.MONITORING_IMPAIRED, STEP})
"""What is said directly at all: alerts by their kind, and steps."""
MATTERS: Final = {
    "console": frozenset({AlertKind.PANIC, AlertKind.MONITORING_IMPAIRED}),
    "dispatch": frozenset({AlertKind.PANIC, STEP}),
    "notify": DIRECT_KINDS,
}
"""Which of it is whose matter. The rest is answered, so that nobody repeats it, and passed over."""


class NoSecret(Exception):
    """There is nothing to know the other end by; the message says why."""


class AskAgain(Exception):
    """What was told could not be taken now; the message says why."""


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


Take = Callable[[DirectNotice], Awaitable[bool]]
"""Acts on what was told; whether it is on disk. Raises AskAgain."""


async def answer(
    receiver: str, secret_file: Path | None, given: str, body: bytes, take: Take
) -> Answer:
    """What ``receiver``, a key of MATTERS, answers to ``body`` with ``given`` in its HEADER."""
    try:
        if not is_ours(given, secret_file):
            return Answer(401, {"error": f"{HEADER} is wrong"})
        notice = NOTICE.validate_json(body)
    except NoSecret as why:
        log.warning("nobody can tell directly", why=str(why))
        return Answer(503, {"error": str(why)})
    except ValidationError as error:
        return Answer(422, {"error": f"no notice: {error.error_count()} fields wrong"})
    kind = notice.kind if isinstance(notice, AlertChanged) else STEP
    if not isinstance(notice, AlertChanged | StepTaken) or kind not in DIRECT_KINDS:
        return Answer(
            422, {"error": f"only these are told directly: {', '.join(sorted(DIRECT_KINDS))}"}
        )
    if kind not in MATTERS[receiver]:
        return Answer(200, {"kept": False})
    try:
        return Answer(200, {"kept": await take(notice)})
    except AskAgain as why:
        return Answer(503, {"error": str(why)})


def door(receiver: str, secret_file: Path | None, take: Take) -> web.RouteDef:
    """POST /direct of ``receiver``, for its Service."""

    async def direct(request: web.Request) -> web.Response:
        given = request.headers.get(HEADER, "")
        said = await answer(receiver, secret_file, given, await request.read(), take)
        return web.json_response(said.body, status=said.status)

    return web.post("/direct", direct)


class Teller:
    """Tells the receivers at ``urls``. ``told`` and ``failed`` count requests by whether they were
    answered with 200."""

    def __init__(self, urls: Sequence[str], secret_file: Path | None) -> None:
        self.urls = tuple(urls)
        self._secret_file = secret_file
        self._session: aiohttp.ClientSession | None = None
        self.told = 0
        self.failed = 0

    async def tell(self, url: str, body: bytes, timeout_s: float) -> dict[str, Any] | None:
        """What the receiver answered; None when it has not taken it."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=CONNECTIONS_PER_HOST)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        try:
            headers = {"content-type": "application/json", HEADER: read_secret(self._secret_file)}
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    self.failed += 1
                    return None
                said: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, NoSecret) as trouble:
            self.failed += 1
            log.debug("not told directly", url=url, why=repr(trouble)[:200])
            return None
        self.told += 1
        return said

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def read_secret(file: Path | None) -> str:
    """The secret in ``gateway.direct_secret_file``; empty when the file is. Raises NoSecret.

    It is read at each use, so that it can be rotated.
    """
    if file is None:
        raise NoSecret("gateway.direct_secret_file is not set")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoSecret("gateway.direct_secret_file can't be read") from error


def is_ours(said: str, file: Path | None) -> bool:
    """Whether what a request's header ``said`` is the secret, compared in constant time.

    An empty secret lets nobody in. Raises NoSecret.
    """
    secret = read_secret(file)
    # A header may hold any bytes; aiohttp hands over those that are no UTF-8 as surrogates.
    given = said.encode("utf-8", "surrogateescape")
    return bool(secret) and hmac.compare_digest(given, secret.encode())
