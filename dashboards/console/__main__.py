"""`python -m dashboards.console`: the live map, on the host and port of the settings."""

import uvicorn

from dashboards.console.server import console
from schemas.private import keep_private
from schemas.settings import configured_var, settings_of_process
from streams.runtime.collector import collect_rarely
from streams.runtime.http import Http
from streams.runtime.kafka.patience import be_patient
from streams.runtime.logs import configure_logs


def main() -> None:
    settings = settings_of_process()
    configure_logs(settings.log_format)
    be_patient()
    app = console(settings)
    collect_rarely()
    uvicorn.run(
        app,
        http=Http,
        host=settings.console.host,
        port=settings.console.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=2,
        proxy_headers=False,  # dashboards.console.forwarded
    )


if __name__ == "__main__":
    keep_private(configured_var())
    main()
