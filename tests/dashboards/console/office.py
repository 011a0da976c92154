"""A console in this process with a small country and several people, each in a browser of their own.

Kafka is away; what would go there is kept in a list, and shown at once as the console shows it.
"""

import itertools
from pathlib import Path
from typing import Any

from httpx import ASGITransport, AsyncClient, Response

from dashboards.console.access import Role
from dashboards.console.desk import Desk
from dashboards.console.said import At
from dashboards.console.server import console
from loadtest.simulator.country import country
from loadtest.simulator.encode import Encoder
from loadtest.simulator.fleet import Fleet
from schemas.settings import ConsoleSettings, KafkaSettings, Settings
from schemas.steps import StepTaken
from tests.dashboards.console.records import NOW_MS, alert, registered

ORIGIN = "http://127.0.0.1:8060"
NOBODY_LISTENS = 9
SCHOOLS = 60


class Office:
    def __init__(self, var: Path, **settings: Any) -> None:
        self.settings = Settings(
            var=var,
            kafka=KafkaSettings(bootstrap=f"127.0.0.1:{NOBODY_LISTENS}"),
            console=ConsoleSettings(**settings),
        )
        # The clock of who has to wait stands: on a machine that stands still the wait would be over.
        self.app = console(self.settings, lambda: 0.0)
        self.desk: Desk = self.app.state.desk
        self.steps: list[StepTaken] = []
        offsets = itertools.count()

        async def taken(step: StepTaken) -> At:
            self.steps.append(step)
            return At(step.time_ms, next(offsets))

        self.desk.said.step = taken
        schools = country(1, SCHOOLS)
        encoder = Encoder(Fleet(schools, boot=1), 1)
        self.schools = [registered(encoder.registered(n, NOW_MS)[2]) for n in range(SCHOOLS)]
        self.desk.picture.registered(self.schools)

    def school_of(self, region: str) -> str:
        return next(school.school for school in self.schools if school.region == region)

    def panic(self, id_: str, school: str, **fields: Any) -> None:
        self.desk.picture.alert(alert(id_, school=school, **fields), NOW_MS)

    async def person(self, login: str, role: Role, *places: str) -> "Colleague":
        password = self.desk.users.put(login, login.capitalize(), role, list(places) or ["*"])
        colleague = Colleague(self.app, login, password)
        assert (await colleague.sign_in()).status_code == 200
        return colleague


class Colleague:
    """``address`` is where the browser is, as the console's peer."""

    def __init__(self, app: Any, login: str, password: str, address: str = "192.0.2.1") -> None:
        self.login = login
        self.password = password
        transport = ASGITransport(app, client=(address, 4711))
        self.http = AsyncClient(transport=transport, base_url=ORIGIN)
        self.csrf = ""

    async def sign_in(self, password: str = "", **headers: str) -> Response:
        wish = {"login": self.login, "password": password or self.password}
        said = await self.http.post(
            "/api/sign-in", json=wish, headers={"origin": ORIGIN, **headers}
        )
        self.csrf = (await self.http.get("/api/me")).json().get("csrf", "")
        return said

    async def get(self, path: str) -> Response:
        return await self.http.get(path)

    async def post(self, path: str, body: Any = None, **headers: str) -> Response:
        usual = {"origin": ORIGIN, "x-csrf-token": self.csrf, **headers}
        return await self.http.post(path, json=body or {}, headers=usual)

    async def step(self, alarm: str, took: str, seen: int = 0, **more: Any) -> Response:
        wish = {"took": took, "seen": seen, **more}
        return await self.post(f"/api/alerts/{alarm}/steps", wish)
