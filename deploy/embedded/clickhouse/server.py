"""The listening side: accepts clients, gives each a thread, and stops without cutting a query."""

import socket
import threading
from contextlib import suppress
from time import monotonic

import structlog

from deploy.embedded.clickhouse import codec
from deploy.embedded.clickhouse.engine import Engine
from deploy.embedded.clickhouse.session import Bounds, Login, Session
from deploy.embedded.clickhouse.spool import InsertMemory

log = structlog.get_logger(__name__)

MAX_CLIENTS = 128
TOO_MANY_CLIENTS = 202
FINISH_S = 10.0
_LOOK_EVERY_S = 0.2


def serve(
    listener: socket.socket,
    engine: Engine,
    logins: dict[str, Login],
    stopped: threading.Event,
    bounds: Bounds | None = None,
) -> None:
    """Serve clients of `listener` until `stopped`, then let queries end for FINISH_S at most."""
    bounds = bounds or Bounds()
    memory = InsertMemory(bounds.all_inserts_bytes)
    sessions: dict[Session, threading.Thread] = {}
    listener.settimeout(_LOOK_EVERY_S)
    while not stopped.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError as error:  # out of descriptors: those that are connected go on
            log.warning("a client could not be accepted", reason=str(error))
            stopped.wait(_LOOK_EVERY_S)
            continue
        for session in [session for session, thread in sessions.items() if not thread.is_alive()]:
            del sessions[session]
        if len(sessions) >= MAX_CLIENTS:
            _refuse(client)
            continue
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        session = Session(client, engine, logins, memory, bounds)
        thread = threading.Thread(target=session.run, name="client", daemon=True)
        sessions[session] = thread
        thread.start()
    listener.close()
    _finish(sessions)


def _refuse(client: socket.socket) -> None:
    with client:
        client.settimeout(1)
        with suppress(OSError):  # gone already
            client.sendall(codec.exception(TOO_MANY_CLIENTS, f"more than {MAX_CLIENTS} clients"))


def _finish(sessions: dict[Session, threading.Thread]) -> None:
    for session in sessions:
        session.stop()
    deadline = monotonic() + FINISH_S
    for session, thread in sessions.items():
        thread.join(max(0.0, deadline - monotonic()))
        if thread.is_alive():
            session.cut()
