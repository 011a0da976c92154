"""``python -m loadtest``: each command is a function of its own module, registered here."""

import typer

from loadtest.bench import compare, transport
from loadtest.hostile import hostile
from loadtest.limit import limit
from loadtest.offline import offline
from loadtest.panic import panic
from loadtest.pipeline import pipeline
from loadtest.queries import main as queries
from loadtest.scale import scale
from loadtest.simulate import simulate
from schemas.private import keep_private
from schemas.settings import configured_var

app = typer.Typer(
    help="The simulated country, load and faults for Saqshy.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(simulate)
app.command("queries")(queries)
app.command()(transport)
app.command()(pipeline)
app.command()(offline)
app.command()(panic)
app.command()(hostile)
app.command()(scale)
app.command()(limit)
app.command()(compare)

if __name__ == "__main__":
    keep_private(configured_var())
    app(prog_name="python -m loadtest")
