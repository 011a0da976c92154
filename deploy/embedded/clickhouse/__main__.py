"""`python -m deploy.embedded.clickhouse`: the embedded ClickHouse in the foreground."""

import argparse
import fcntl
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from deploy.embedded.clickhouse import PASSWORD_NAME, READER, READER_PASSWORD_NAME
from deploy.embedded.clickhouse.config import engine_path
from deploy.embedded.clickhouse.engine import Engine
from deploy.embedded.clickhouse.server import serve
from deploy.embedded.clickhouse.session import Login
from deploy.embedded.ports import LOOPBACK, kept_port
from deploy.embedded.secrets import secret
from schemas.private import keep_private
from schemas.settings import configured_var
from streams.runtime.logs import configure_logs


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.embedded.clickhouse",
        description="Serve the embedded ClickHouse engine on the native protocol until SIGTERM.",
        epilog="example: python -m deploy.embedded.clickhouse --var var --port 9000",
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="data folder (default: var)")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, kept between starts")
    arguments = parser.parse_args()
    keep_private(arguments.var)
    configure_logs("console")
    path = engine_path(arguments.var)
    lock = (arguments.var / "clickhouse" / "owner.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(
            f"Another process has {arguments.var / 'clickhouse'}. Stop it, or choose another --var."
        )
    port = kept_port(arguments.var, "clickhouse", arguments.port)
    logins = {
        "default": Login(secret(arguments.var, PASSWORD_NAME)),
        READER: Login(secret(arguments.var, READER_PASSWORD_NAME), reader=True),
    }
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        listener = socket.create_server((LOOPBACK, port), backlog=128)
    except OSError as error:
        sys.exit(f"ClickHouse's port {port} cannot be had ({error}). Choose another with --port.")
    engine = Engine(path)
    print(f"clickhouse: {LOOPBACK}:{port}", flush=True)
    serve(listener, engine, logins, stopped)
    engine.close()
    os._exit(0)  # chDB's own threads don't end by themselves


if __name__ == "__main__":
    keep_private(configured_var())
    main()
