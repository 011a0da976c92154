"""The one way to a Grafana server: grafana-api for transport, plain paths, errors that help.

grafana-api 1.0.3 knows no alert provisioning and several of its calls go to endpoints that Grafana
has since removed, so only its request runner is used. It also reads every answer as JSON, and so
fails on an empty one after the server has acted; a hook gives those a body.
"""

from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaException

from dashboards.grafana.panels import PLUGIN
from dashboards.grafana.settings import GrafanaSettings

FLOOR: Final = (13, 2)
EDITABLE: Final = {"X-Disable-Provenance": "true"}
"""What the API makes stays editable in Grafana; else people could only look at it."""

Method = Literal["POST", "PUT"]


class GrafanaTrouble(RuntimeError):
    """Grafana can't be used as it is; the message says what to do. It never holds the token."""


class Grafana:
    """Raises GrafanaTrouble for everything that goes wrong."""

    def __init__(self, settings: GrafanaSettings) -> None:
        url = urlsplit(settings.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise GrafanaTrouble(
                f"{settings.url} is no address of a Grafana. Give one like https://grafana.example.kz "
                "in SAQSHY_GRAFANA__URL."
            )
        self.url = settings.url.rstrip("/")
        prefix = url.path.strip("/")
        self._api = GrafanaAPI(
            settings.token.get_secret_value(),
            host=url.hostname,
            port=url.port,
            url_path_prefix=f"{prefix}/" if prefix else "",
            protocol=url.scheme,
            verify=settings.verify_tls,
            timeout=settings.timeout_s,
        )
        self._api.s.hooks["response"].append(_with_body)

    def read(self, path: str) -> Any | None:
        """What stands at this path, None where there is nothing."""
        try:
            return self._run("GET", path, None)
        except GrafanaException as error:
            if error.status_code == 404:
                return None
            raise self._trouble(error, path) from None

    def write(self, method: Method, path: str, body: Any) -> Any:
        try:
            return self._run(method, path, body)
        except GrafanaException as error:
            raise self._trouble(error, path) from None

    def check(self) -> str:
        """The server's version. Raises when it is too old, the token is wrong or the plugin lacks."""
        health = self.read("/health")
        version = str((health or {}).get("version", ""))
        if not version:
            raise GrafanaTrouble(f"What answers at {self.url} is no Grafana: it names no version.")
        if _numbers(version) < FLOOR:
            raise GrafanaTrouble(
                f"Grafana {version} is too old: these dashboards and rules need "
                f"{FLOOR[0]}.{FLOOR[1]} or newer. Upgrade it."
            )
        if self.read(f"/plugins/{PLUGIN}/settings") is None:
            raise GrafanaTrouble(
                f"Grafana has no ClickHouse data source. On its machine: grafana cli plugins install "
                f"{PLUGIN}, then restart it."
            )
        return version

    def _run(self, method: str, path: str, body: Any) -> Any:
        try:
            return getattr(self._api, method)(path, json=body, headers=EDITABLE)
        except requests.exceptions.JSONDecodeError:
            raise GrafanaTrouble(
                f"What answers at {self.url} is no Grafana API (no JSON at /api{path}). Is there a "
                "login page or a proxy before it?"
            ) from None
        except requests.exceptions.SSLError as error:
            raise GrafanaTrouble(
                f"The certificate of {self.url} can't be trusted: {error}"
            ) from None
        except requests.exceptions.RequestException as error:
            raise GrafanaTrouble(
                f"Grafana does not answer at {self.url} ({type(error).__name__}). Is it running, and "
                "is SAQSHY_GRAFANA__URL right?"
            ) from None

    def _trouble(self, error: GrafanaException, path: str) -> GrafanaTrouble:
        if error.status_code == 401:
            return GrafanaTrouble(
                f"Grafana at {self.url} does not accept the token. Make one for a service account of "
                "role Admin (Administration, Users and access, Service accounts) and put it into "
                "SAQSHY_GRAFANA__TOKEN."
            )
        if error.status_code == 403:
            return GrafanaTrouble(
                f"The token may not do this at {self.url} (/api{path}). Its service account needs the "
                "role Admin."
            )
        return GrafanaTrouble(f"Grafana refuses /api{path}: {error.status_code} {error.message}")


def name(text: str) -> str:
    """A name as one step of a path."""
    return quote(text, safe="")


def _with_body(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    if not response.content:
        response._content = b"null"
    return response


def _numbers(version: str) -> tuple[int, ...]:
    digits = version.partition("-")[0].partition("+")[0].split(".")
    return tuple(int(part) for part in digits[:2] if part.isdigit())
