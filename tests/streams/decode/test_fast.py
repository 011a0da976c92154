"""The models are the truth: what the fast decoder accepts, they accept, with equal values."""

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.events import EVENT, DeviceKind, Envelope, Heartbeat, Pass, PassOutcome
from streams.decode.fast import FastDecoder, columns

BATCH = 100
MODELS: tuple[type[Envelope], ...] = (Pass, Heartbeat)
HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.0, 1.5, 1e3, -0.0, 2**31, 2**53 - 1, 2**53, 2**64, 10**30),
    *(
        "",
        " ",
        "1",
        "in",
        "IN",
        "granted",
        "pass",
        "heartbeat",
        "é",
        "\ud800",
        "\x00",
        "a\n",
        "a" * 40,
    ),
    *("KZ-75-00001\n", "KZ-75-0000١", "turnstile-1\n", "kazakhtelecom\n", [], {}, [1], {"a": 1}),
    *("0190b6a0-0000-7000-8000-00000000000g", "0190B6A0-0000-7000-8000-000000000001", float("nan")),
    *("0190b6a0-0000-7000-8000-000000000001\n0190b6a0-0000-7000-8000-000000000001", float("inf")),
]
SPLICES = [
    *(b",", b"}", b"{", b"]", b'"', b"\\", b"\xff", b"\xef\xbb\xbf", b"\n", b" ", b"\x0b", b"\x00"),
    *(b"//", b"NaN", b"-", b"+", b"0", b"01", b".0", b"e0", b"e1", b"null", b"\\u0061", b"\\ud800"),
    *(
        b'"v":1,',
        b'"v":2,',
        b'"seq":1,',
        b'"x":[[[[',
        b'"type":"pass",',
        b'"seq":1.0,',
        b'"x":\xff',
    ),
]


def seeded() -> random.Random:
    seed = int(os.environ.get("SAQSHY_TEST_SEED") or time.time_ns() % 1_000_000)
    print(f"SAQSHY_TEST_SEED={seed}")
    return random.Random(seed)


def valid(rng: random.Random, model: type[Envelope]) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-7abc-8abc-{rng.getrandbits(48):012x}",
        "school": f"KZ-{rng.randrange(100):02d}-{rng.randrange(10**5):05d}",
        "device": f"turnstile-{rng.randrange(9)}",
        "time_ms": rng.choice([0, 1_790_000_000_000, 2**53 - 1]),
        "boot": rng.choice([0, rng.getrandbits(53)]),
        "seq": rng.getrandbits(20),
    }
    if rng.random() < 0.8:
        event["v"] = 1
    if model is Pass:
        own: dict[str, Any] = {
            "type": "pass",
            "direction": rng.choice(["in", "out"]),
            "outcome": rng.choice(list(PassOutcome)).value,
            "card": f"{rng.getrandbits(64):016x}",
        }
    else:
        own = {
            "type": "heartbeat",
            "kind": rng.choice(list(DeviceKind)).value,
            "period_s": rng.choice([1, 60, 86_400]),
            "link_pct": rng.randrange(101),
            "provider": "kazakhtelecom",
            "buffered": rng.choice([0, 2**32 - 1]),
            "clock_offset_ms": rng.choice([-(2**31), 0, 2**31 - 1]),
        }
        if rng.random() < 0.5:
            own["battery_pct"] = rng.choice([None, 0, 100])
    event |= own
    return dict(rng.sample(list(event.items()), len(event)))


def mutated(rng: random.Random, model: type[Envelope]) -> bytes:
    event = valid(rng, model)
    kind = rng.randrange(6)
    if kind == 0:
        event[rng.choice(list(event))] = rng.choice(HOSTILE)
    elif kind == 1:
        del event[rng.choice(list(event))]
    elif kind == 2:
        event[rng.choice(["x", "", "Seq", "battery_pct", "card"])] = rng.choice(HOSTILE)
    raw = json.dumps(event, ensure_ascii=rng.random() < 0.5, allow_nan=True)
    value = raw.encode(errors="surrogatepass")
    if kind == 3:
        at = rng.randrange(len(value) + 1)
        value = value[:at] + rng.choice(SPLICES) + value[at + rng.randrange(3) :]
    elif kind == 4:
        at = rng.randrange(len(value))
        value = value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :]
    elif kind == 5:  # a key twice
        name = rng.choice(list(event))
        again = json.dumps({name: rng.choice([*HOSTILE, valid(rng, model).get(name)])})
        value = value[:-1] + b"," + again[1:].encode()
    return value


def batches(rng: random.Random, count: int) -> Iterator[tuple[type[Envelope], list[bytes]]]:
    for _ in range(count // BATCH):
        model = rng.choice(MODELS)
        # Mostly one bad apple: the batch's one match must then find it.
        share = rng.choice([0.01, 1.0, 1.0, 1.0])
        yield (
            model,
            [
                mutated(rng, model)
                if rng.random() < share
                else json.dumps(valid(rng, model)).encode()
                for _ in range(BATCH)
            ],
        )


def judged(value: bytes) -> Envelope | None:
    try:
        return EVENT.validate_json(value)
    except ValidationError:
        return None


def agree(count: int) -> None:
    decoders = {model: FastDecoder(model) for model in MODELS}
    accepted = 0
    for model, values in batches(seeded(), count):
        names = list(model.model_fields)
        for value, event in zip(values, decoders[model].decode(values), strict=True):
            if event is None:
                continue
            accepted += 1
            truth = judged(value)
            assert type(truth) is model, value
            assert [getattr(event, n) for n in names] == [getattr(truth, n) for n in names], value
            for name in names:  # True == 1 == 1.0
                assert type(getattr(event, name)) in (str, int, type(None)), value
    assert count * 0.1 < accepted < count * 0.9


def test_what_it_accepts_the_models_accept_with_equal_values() -> None:
    agree(20_000)


@pytest.mark.faults
def test_what_it_accepts_in_millions_the_models_accept() -> None:
    agree(3_000_000)


@pytest.mark.parametrize("model", MODELS)
def test_ordinary_events_take_the_fast_path(model: type[Envelope]) -> None:
    rng = random.Random(1)
    values = [json.dumps(valid(rng, model)).encode() for _ in range(1_000)]
    assert None not in FastDecoder(model).decode(values)


@pytest.mark.parametrize("model", MODELS)
def test_an_event_of_the_model_becomes_the_same_as_its_bytes(model: type[Envelope]) -> None:
    decoder, rng = FastDecoder(model), random.Random(2)
    for _ in range(100):
        value = json.dumps(valid(rng, model)).encode()
        truth = judged(value)
        assert truth is not None
        assert decoder.of(truth) == decoder.decode([value])[0]


def test_columns_keep_the_order_of_events() -> None:
    rng = random.Random(3)
    events = [valid(rng, Pass) for _ in range(10)]
    found = FastDecoder(Pass).decode([json.dumps(event).encode() for event in events])
    assert columns(found, ["seq", "card"]) == [
        [e["seq"] for e in events],
        [e["card"] for e in events],
    ]


def test_a_value_of_two_ids_does_not_pass_for_two_values() -> None:
    one = valid(random.Random(4), Pass)
    ids = f"{one['id']}\n{one['id']}"
    values = [json.dumps(one | {"id": ids}).encode(), json.dumps(one).replace("\\n", "\n").encode()]
    values.append(json.dumps(one | {"id": ids}).replace("\\n", "\n").encode())
    found = FastDecoder(Pass).decode(values)
    assert [event is None for event in found] == [True, False, True]


def test_a_model_with_free_text_is_refused() -> None:
    from schemas.events import IncidentReported

    with pytest.raises(TypeError, match="No fast decoder"):
        FastDecoder(IncidentReported)
