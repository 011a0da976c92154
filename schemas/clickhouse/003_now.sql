-- What is true now: one row per school, device or alert, replaced by a newer one. A school's records
-- stand in one Kafka partition, so the larger offset is the newer. Read with FINAL.

-- Asked: which schools are there, where, how large, of which provider, with which programs? (every map)
CREATE TABLE IF NOT EXISTS schools
(
    school             LowCardinality(String),
    name_kk            String,
    name_ru            String,
    name_en            String,
    region             LowCardinality(String),
    district           LowCardinality(String),
    latitude           Float64,
    longitude          Float64,
    pupils             UInt32,
    ownership          LowCardinality(String),
    special            Bool,
    shifts             UInt8,
    bells              Array(Array(String)),
    provider           LowCardinality(String),
    programs           Array(LowCardinality(String)),
    teacher_assistants UInt16,
    devices            Array(String),
    device_kinds       Array(LowCardinality(String)),
    device_periods_s   Array(UInt32),
    kafka_offset       UInt64
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY school
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS schools_feed TO schools AS
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, bells, provider, programs, teacher_assistants, devices, device_kinds,
    device_periods_s, kafka_offset
FROM registry;

-- Asked: who lacks turnstiles, contract, button or police link today?
CREATE TABLE IF NOT EXISTS equipment
(
    school           LowCardinality(String),
    turnstiles       UInt16,
    panic_buttons    UInt16,
    gateways         UInt16,
    police_link      Bool,
    contract_number  String,
    contract_company String,
    contract_expires Nullable(Date32),
    changed          DateTime64(3, 'UTC'),
    kafka_offset     UInt64
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY school
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS equipment_feed TO equipment AS
SELECT
    school, turnstiles, panic_buttons, gateways, police_link, contract_number, contract_company,
    contract_expires, time AS changed, kafka_offset
FROM facilities
WHERE type = 'equipment.changed';

-- Asked: which schools and devices are silent now, and since when? device = '' is the school itself.
CREATE TABLE IF NOT EXISTS status
(
    school       LowCardinality(String),
    device       LowCardinality(String),
    kind         LowCardinality(String),
    status       LowCardinality(String),
    since        DateTime64(3, 'UTC'),
    decided      DateTime64(3, 'UTC'),
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (school, device)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS status_feed TO status AS
SELECT school, device, kind, status, since, decided, kafka_offset
FROM status_history;

-- Asked: which alerts are open, since when, and who has acknowledged them?
CREATE VIEW IF NOT EXISTS alerts AS
SELECT
    id,
    kind,
    school,
    argMin(device, number) AS first_device,
    argMax(severity, number) AS last_severity,
    argMax(action, number) AS last_action,
    min(time) AS opened,
    minIf(decided, action = 'opened') AS detected,
    minIf(decided, action = 'acknowledged') AS acknowledged,
    minIf(decided, action = 'resolved') AS resolved,
    max(count) AS presses,
    argMax(actor, number) AS last_actor
FROM alert_transitions
GROUP BY id, kind, school;
