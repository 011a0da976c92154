import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import UUID7_PATTERN
from schemas.ids import uuid7


@given(st.integers(0, (1 << 48) - 1), st.binary(max_size=20))
def test_it_is_a_uuid7_of_its_time(now_ms: int, of: bytes) -> None:
    made = uuid7(now_ms, of)
    assert re.fullmatch(UUID7_PATTERN, made)
    assert uuid.UUID(made).int >> 80 == now_ms


def test_with_content_it_follows_from_it_and_without_it_is_new() -> None:
    assert uuid7(1, b"a") == uuid7(1, b"a") != uuid7(1, b"b")
    assert uuid7(1) != uuid7(1)
