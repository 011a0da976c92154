import json
from uuid import UUID

from loadtest.simulator.country import VENDORS
from loadtest.simulator.encode import Encoder, registry
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.peak import Mix
from schemas.events import EVENT, EVENT_MODELS, DrillDeclared, SchoolRegistered
from schemas.topics import TOPIC_OF_TYPE
from tests.loadtest.streams import SCHOOLS, START_MS, day_batches, peak_batches, records


def test_it_writes_events_of_every_type_that_the_contract_accepts() -> None:
    register = list(registry(Encoder(Fleet(SCHOOLS, START_MS), 1), START_MS))
    peak = records(peak_batches(Mix(5_000, 10, panics=300)))
    day = records(day_batches(900, panic_every_s=5.0, duplicates=0.0))
    seen = set()
    for topic, key, value, label in [*register, *peak, *day]:
        event = EVENT.validate_json(value)
        assert (event.type, event.school.encode()) == (label, key)
        assert TOPIC_OF_TYPE[event.type].name == topic
        seen.add(type(event))
    assert seen == set(EVENT_MODELS) - {DrillDeclared}  # a drill is a person's to declare


def test_it_names_each_event_by_a_uuid7_of_its_time() -> None:
    sent = records(peak_batches(Mix(5_000, 4, panics=5)))
    ids = [UUID(json.loads(record[2])["id"]) for record in sent]
    assert len(set(ids)) == len(ids)
    for one, record in zip(ids, sent, strict=True):
        assert one.version == 7
        assert one.int >> 80 == json.loads(record[2])["time_ms"]


def test_it_counts_up_within_each_device_and_boot() -> None:
    last: dict[tuple[str, str, int], int] = {}
    for record in records(day_batches(300, duplicates=0.0)):
        event = json.loads(record[2])
        name = (event["school"], event["device"], event["boot"])
        assert event["seq"] == last.get(name, -1) + 1
        last[name] = event["seq"]


def test_a_school_buys_all_of_a_kind_from_one_vendor_and_the_country_from_several() -> None:
    vendors: dict[tuple[str, str], set[str]] = {}
    for _, key, value, label in registry(Encoder(Fleet(SCHOOLS, START_MS), 1), START_MS):
        if label == "school.registered":
            for device in SchoolRegistered.model_validate_json(value).devices:
                vendors.setdefault((key.decode(), device.kind), set()).add(device.vendor)
    assert all(len(of_one) == 1 for of_one in vendors.values())
    assert set().union(*vendors.values()) == set(VENDORS)


def test_it_registers_the_devices_that_call() -> None:
    expected = {}
    for _, key, value, label in registry(Encoder(Fleet(SCHOOLS, START_MS), 1), START_MS):
        if label == "school.registered":
            school = SchoolRegistered.model_validate_json(value)
            expected[key.decode()] = {(d.device, d.kind, d.period_s) for d in school.devices}
    called: dict[str, set[object]] = {school: set() for school in expected}
    for record in records(day_batches(60, duplicates=0.0)):
        if record[3] == "heartbeat":
            beat = json.loads(record[2])
            called[beat["school"]].add((beat["device"], beat["kind"], beat["period_s"]))
    assert called == expected
