"""What `saqshy up` waits for before it says that everything is up."""

from pathlib import Path

import pytest

from deploy.supervisor import PartFailed, Supervisor
from deploy.up import UpOptions, simulator_part
from schemas.settings import Settings


async def test_a_simulator_that_crashes_is_not_up(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    try:
        with pytest.raises(PartFailed, match=r"simulator ended .* before it was healthy"):
            await supervisor.start(simulator_part(UpOptions(schools=0), settings))
    finally:
        await supervisor.stop()
