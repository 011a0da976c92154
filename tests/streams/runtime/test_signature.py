"""The signature of a webhook, as a receiver would compute it."""

import hmac

from streams.runtime.signature import signed


def test_it_is_of_the_timestamp_and_the_body() -> None:
    headers = signed(b"key", 1_790_000_000, b'{"a":1}')
    expected = hmac.new(b"key", b'1790000000.{"a":1}', "sha256").hexdigest()
    assert headers == {
        "X-Saqshy-Timestamp": "1790000000",
        "X-Saqshy-Signature": f"v1={expected}",
    }
