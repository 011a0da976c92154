"""A stand-in for Grafana's HTTP API: it keeps what it is given and answers as Grafana does, with fields
of its own, without empty ones, with secrets blacked out and an empty body where Grafana has none."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "glsa_secret_of_the_test"
Answer = tuple[int, Any]


class Held:
    """``log`` has every write, in order."""

    def __init__(self) -> None:
        self.version = "13.2.1"
        self.plugin = True
        self.things: dict[str, Any] = {}
        self.contact_points: dict[str, Any] = {}
        self.policies: dict[str, Any] = {"receiver": "grafana-default-email", "routes": []}
        self.log: list[tuple[str, str]] = []

    def get(self, path: str) -> Answer:
        if path == "/health":
            return 200, {"database": "ok", "version": self.version}
        if path.startswith("/plugins/"):
            return (200, {"id": "x", "enabled": True}) if self.plugin else (404, {"message": "no"})
        if path.endswith("/contact-points"):
            return 200, list(map(_blacked_out, self.contact_points.values()))
        if path.endswith("/policies"):
            return 200, self.policies
        held = self.things.get(path)
        return (404, {"message": "not found"}) if held is None else (200, held)

    def write(self, method: str, path: str, body: Any) -> Answer:
        self.log.append((method, path))
        for pattern, done in _WRITES:
            if re.fullmatch(pattern, f"{method} {path}"):
                return done(self, path, body)
        return 404, {"message": f"no route {method} {path}"}


def _folder(held: Held, path: str, body: Any) -> Answer:
    uid = body.get("uid") or path.rsplit("/", 1)[1]
    held.things[f"/folders/{uid}"] = {"uid": uid, "title": body["title"], "id": 7, "version": 1}
    return 200, held.things[f"/folders/{uid}"]


def _data_source(held: Held, _: str, body: Any) -> Answer:
    kept = {key: value for key, value in body.items() if key != "secureJsonData"}
    kept |= {"id": 3, "version": 1, "secureJsonFields": {"password": True}}
    held.things[f"/datasources/uid/{body['uid']}"] = kept
    return 200, {"id": 3, "message": "Datasource added", "datasource": kept}


def _dashboard(held: Held, _: str, body: Any) -> Answer:
    kept = {**body["dashboard"], "id": 12, "version": 1}
    meta = {"folderUid": body.get("folderUid")}
    held.things[f"/dashboards/uid/{kept['uid']}"] = {"dashboard": kept, "meta": meta}
    return 200, {"uid": kept["uid"], "status": "success", "version": 1}


def _template(held: Held, path: str, body: Any) -> Answer:
    name = unquote(path.rsplit("/", 1)[1])
    held.things[path] = {"name": name, "template": body["template"], "version": "a1"}
    return 202, held.things[path]


def _mute_timing(held: Held, path: str, body: Any) -> Answer:
    base = "/v1/provisioning/mute-timings"
    held.things[f"{base}/{body['name']}"] = {**body, "version": "b2"}
    return (201 if path == base else 202), body


def _contact_point(held: Held, _: str, body: Any) -> Answer:
    known = body["uid"] in held.contact_points
    held.contact_points[body["uid"]] = body
    return (202, {"message": "ok"}) if known else (202, body)


def _policies(held: Held, _: str, body: Any) -> Answer:
    held.policies = body
    return 202, {"message": "policies updated"}


def _rule_group(held: Held, path: str, body: Any) -> Answer:
    rules = [{**_without_empty(rule), "id": 100 + i, "updated": "2026-11-24T00:00:00Z"}
             for i, rule in enumerate(body["rules"])]  # fmt: skip
    held.things[path] = {**body, "rules": rules}
    return 200, held.things[path]


_WRITES: list[tuple[str, Callable[[Held, str, Any], Answer]]] = [
    (r"POST /folders|PUT /folders/\w+", _folder),
    (r"POST /datasources|PUT /datasources/uid/[\w-]+", _data_source),
    (r"POST /dashboards/db", _dashboard),
    (r"PUT /v1/provisioning/templates/[\w-]+", _template),
    (r"(POST|PUT) /v1/provisioning/mute-timings(/[\w-]+)?", _mute_timing),
    (r"(POST|PUT) /v1/provisioning/contact-points(/[\w-]+)?", _contact_point),
    (r"PUT /v1/provisioning/policies", _policies),
    (r"PUT /v1/provisioning/folder/\w+/rule-groups/[\w-]+", _rule_group),
]


def _without_empty(rule: dict[str, Any]) -> dict[str, Any]:
    """As Go leaves out what is empty; and 2m comes back as 2m0s."""
    kept = {key: value for key, value in rule.items() if value not in ("", 0, False)}
    return {**kept, "for": re.sub(r"^(\d+)m$", r"\1m0s", rule["for"])}


def _blacked_out(point: dict[str, Any]) -> dict[str, Any]:
    secret = ("bottoken", "integrationKey", "authorization_credentials")
    settings = {k: "[REDACTED]" if k in secret else v for k, v in point["settings"].items()}
    return {**point, "settings": settings}


@contextmanager
def serving(held: Held) -> Iterator[str]:
    """The address while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            path = self.path.removeprefix("/api")
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            if path != "/health" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                answer: Answer = 401, {"message": "Unauthorized"}
            elif self.command == "GET":
                answer = held.get(path)
            else:
                answer = held.write(self.command, path, json.loads(text))
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _handle

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
