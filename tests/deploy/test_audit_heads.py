"""What Kafka was told of the audit log shows what was done to it."""

import asyncio

import pytest
from typer.testing import CliRunner

from dashboards.console.audit import Entry, audit_of, months
from dashboards.console.said import StepWriter
from deploy.audit_heads import heads_in_kafka
from deploy.cli.main import app
from schemas.audit import AuditHead
from schemas.settings import Settings


async def told(settings: Settings) -> None:
    """As the console does it each minute."""
    said = StepWriter(settings.kafka, [], None)
    number, head = audit_of(settings).head()
    try:
        await said.audit_head(AuditHead(n=number, head=head, time_ms=1))
    finally:
        await said.stop()


@pytest.mark.broker
def test_a_cut_end_is_found_by_what_kafka_was_told(environment: Settings) -> None:
    log = audit_of(environment)
    for n in range(5):
        log.write(Entry(did="school.seen", number=n))
        if n in (2, 4):
            asyncio.run(told(environment))
    assert sorted(heads_in_kafka(environment)) == [3, 5]
    whole = CliRunner().invoke(app, ["audit", "verify", "--kafka"])
    assert whole.exit_code == 0, whole.output
    assert "2 hashes" in whole.output
    [path] = months(log.folder)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert CliRunner().invoke(app, ["audit", "verify"]).exit_code == 0
    cut = CliRunner().invoke(app, ["audit", "verify", "--kafka"])
    assert cut.exit_code == 1
    assert "1 are missing" in cut.output
