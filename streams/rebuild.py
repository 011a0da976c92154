"""What the topic of statuses holds, for the lanes that read it before they judge."""

from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged


def status_of(value: bytes | None) -> StatusChanged | None:
    """None for what is no status."""
    try:
        said = NOTICE.validate_json(value or b"")
    except ValidationError:
        return None
    return said if isinstance(said, StatusChanged) else None
