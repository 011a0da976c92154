"""What the console says of its audit log, beside the machine that holds the log."""

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.events import Contract, Count, TimeMs


class AuditHead(Contract):
    """The log's last line at ``time_ms``: its number ``n`` and its keyed hash. It tells nothing of what
    the log says; who has the log can show with it that no line up to there was changed or is missing.
    """

    type: Literal["audit.head"] = "audit.head"
    n: Count
    head: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    time_ms: TimeMs


AUDIT_HEAD: Final = TypeAdapter(AuditHead)
