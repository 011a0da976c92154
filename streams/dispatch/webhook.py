"""An alarm as JSON by POST, signed with the center's key (docs/panic.md)."""

import json
from typing import ClassVar, Final

from streams.dispatch.alarm import Alarm
from streams.dispatch.post import Post


class Webhook(Post):
    kind: Final = "webhook"
    content_type: ClassVar[str] = "application/json"

    def alarm_body(self, alarm: Alarm) -> bytes:
        return webhook_of(alarm)

    def test_body(self, message: str, now_ms: int) -> bytes:
        return json.dumps({"type": "saqshy.test", "message": message}).encode()


def webhook_of(alarm: Alarm) -> bytes:
    """All of the alarm as JSON, with its type in front."""
    said = alarm.model_dump(mode="json", exclude={"seq"})
    return json.dumps({"type": "saqshy.panic", **said}, ensure_ascii=False).encode()
