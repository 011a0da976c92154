"""The skeleton of every process: what it says of itself, and how it ends."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streams.runtime.metrics import BY_NAME, DECLARED, PREFIX, Figure, exposition
from streams.runtime.service import Service, Source, health_of, metrics_of, run_all

ROOT = Path(__file__).parents[3]


async def for_ever() -> None:
    await asyncio.Event().wait()


def made(name: str, **more: object) -> Service:
    return Service(**{"name": name, "run": for_ever, **more})  # type: ignore[arg-type]


ages = st.none() | st.floats(0, 1_000)
sources = st.builds(Source, ages, st.floats(0.1, 500), st.booleans())
several = st.lists(st.dictionaries(st.sampled_from("abc"), sources), min_size=1, max_size=3)


@given(several, st.booleans())
def test_it_is_ready_unless_a_needed_source_is_too_old_and_says_each_that_is(
    heard: list[dict[str, Source]], ready: bool
) -> None:
    services = [
        made(f"s{n}", sources=lambda one=one: one, ready=lambda: ready)
        for n, one in enumerate(heard)
    ]
    status, body = health_of(services)
    old = [
        (f"s{n}", name)
        for n, one in enumerate(heard)
        for name, it in one.items()
        if it.age_s is None or it.age_s > it.at_most_s
    ]
    needed = {
        (f"s{n}", name) for n, one in enumerate(heard) for name, it in one.items() if it.needed
    }
    assert body["ready"] == (ready and not needed & set(old))
    assert status == (200 if body["ready"] else 503)
    alone = len(heard) == 1
    assert body["too_old"] == [name if alone else f"{of}: {name}" for of, name in old]
    said = {"s0": body} if alone else body["services"]
    for n, one in enumerate(heard):
        assert set(said[f"s{n}"]["sources"]) == set(one)


def test_an_age_is_said_in_seconds() -> None:
    _, body = health_of([made("notify", sources=lambda: {"saqshy.alerts": Source(0.4)})])
    assert (body["service"], body["sources"]) == ("notify", {"saqshy.alerts": 0.4})


values = st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.floats(0, 1e12), min_size=1)


@given(values)
def test_what_is_said_can_be_read_again_with_its_type_and_help(said: dict[str, float]) -> None:
    figures = [
        Figure(name, value, tuple('a "b"\n' for _ in BY_NAME[name].labels))
        for name, value in said.items()
    ]
    text = exposition(figures).decode()
    read = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX)
            read[name] = sample.value
            assert family.documentation == BY_NAME[name].help
            assert family.type == ("counter" if name.endswith("_total") else "gauge")
            assert set(sample.labels.values()) <= {'a "b"\n'}
    assert read == said


def test_each_metric_is_declared_once_with_a_sentence() -> None:
    assert len(BY_NAME) == len(DECLARED)
    assert all(one.help.endswith(".") or ";" in one.help for one in DECLARED)


@pytest.mark.parametrize("wrong", [Figure("nobody_knows", 1), Figure("lag", 1, ("flow",))])
def test_what_is_not_declared_is_not_said(wrong: Figure) -> None:
    with pytest.raises((KeyError, ValueError)):
        exposition([wrong])


async def test_each_process_says_its_cpu_and_the_age_of_its_sources() -> None:
    text = (await metrics_of("two", [made("a", sources=lambda: {"kafka": Source(2.5)})])).decode()
    assert 'saqshy_cpu_seconds_total{lane="two"}' in text
    assert 'saqshy_source_age_seconds{lane="a",source="kafka"} 2.5' in text


async def test_all_stop_when_one_ends_and_its_error_is_raised() -> None:
    stopped = []

    async def fails() -> None:
        raise ValueError("it")

    async def waits() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            stopped.append(True)

    with pytest.raises(ValueError, match="it"):
        await run_all([made("a", run=fails), made("b", run=waits)], asyncio.Event())
    assert stopped == [True]


STUBBORN = """
import asyncio, sys
from schemas.settings import Settings
from streams.runtime import service
service.STOP_WITHIN_S = 0.2

async def stubborn():
    print("up", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

service.run(Settings(), "one", lambda: [service.Service(name="one", run=stubborn)])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_does_not_stop_is_left_in_time(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"not stopped in time" in said and b"one" in said
