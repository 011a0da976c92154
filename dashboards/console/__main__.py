"""`python -m dashboards.console`: the live map, on the host and port of the settings."""

import uvloop

from dashboards.console.server import service
from schemas.private import keep_private
from schemas.settings import configured_var, settings_of_process
from streams.runtime.kafka.patience import pause_metadata_retries
from streams.runtime.service import run


def main() -> None:
    settings = settings_of_process()
    pause_metadata_retries()
    run(settings, "console", lambda: [service(settings)], loop=uvloop.new_event_loop)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
