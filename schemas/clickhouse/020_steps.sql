-- What people and adapters did about alerts, and what the lanes now say more of them.

-- Asked: who did what about this alert, when; how long did each step take?
-- A machine's step that is taken again has the same id, so replacing.
CREATE TABLE IF NOT EXISTS alert_steps
(
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    id              String,
    alert           String,
    school          LowCardinality(String),
    took            LowCardinality(String),
    actor           String,
    time            DateTime64(3, 'UTC'),
    target          String,
    attempt         UInt32,
    note            String,
    outcome         LowCardinality(String),
    until           DateTime64(3, 'UTC'),
    score           Nullable(UInt8)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(kafka_time)
ORDER BY (school, alert, took, id)
TTL toDateTime(kafka_time) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS late Bool;
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS duress Bool;
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS drill Bool;
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS score Nullable(UInt8);
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS why Array(String);
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS scope String;
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS members Array(String);
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS outage String;
ALTER TABLE registry ADD COLUMN IF NOT EXISTS center LowCardinality(String);
ALTER TABLE schools ADD COLUMN IF NOT EXISTS center LowCardinality(String);

-- Nobody asked it: published_alerts is the fold that everybody reads.
DROP VIEW IF EXISTS alerts;

ALTER TABLE schools_feed MODIFY QUERY
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, bells, provider, programs, teacher_assistants, devices, device_kinds,
    device_periods_s, kafka_offset, center
FROM registry;
