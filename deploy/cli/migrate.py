"""``saqshy migrate``: the ClickHouse tables of this version."""

from deploy.cli.output import AsJson, explained, load_settings, print_json, say
from schemas.migrations import migrate as apply


def migrate(as_json: AsJson = False) -> None:
    """Bring the ClickHouse tables to this version; can be run again at any time.

    \b
    Examples:
      saqshy migrate
      SAQSHY_CLICKHOUSE__HOST=clickhouse.example.kz saqshy migrate --json
    """
    settings = load_settings()
    with explained(settings):
        applied = apply(settings.clickhouse)
    if as_json:
        print_json({"applied": applied})
    else:
        say("\n".join(f"applied {name}" for name in applied) or "The tables are up to date.")
