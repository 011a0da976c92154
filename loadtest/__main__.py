"""``python -m loadtest``: each command is a function of its own module, registered here."""

import typer

from loadtest.hostile.bench import hostile
from loadtest.offline.bench import offline
from loadtest.panic.bench import panic
from loadtest.queries.bench import main as queries
from loadtest.simulator.simulate import simulate
from loadtest.throughput.commands import compare, transport
from loadtest.throughput.cost import cost
from loadtest.throughput.limit import limit
from loadtest.throughput.pipeline import pipeline
from loadtest.throughput.scale import scale
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
app.command()(cost)

if __name__ == "__main__":
    keep_private(configured_var())
    app(prog_name="python -m loadtest")
