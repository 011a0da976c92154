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

CREATE OR REPLACE VIEW alerts AS
SELECT
    t.id AS id, t.kind AS kind, t.school AS school, t.first_device AS first_device,
    t.last_severity AS last_severity, t.last_action AS last_action, t.opened AS opened,
    t.detected AS detected, t.presses AS presses, t.any_drill AS any_drill,
    s.acknowledged AS acknowledged, s.dispatched AS dispatched, s.arrived AS arrived,
    if(t.resolved IS NOT NULL, t.resolved, s.closed) AS resolved,
    s.outcome AS outcome, s.last_actor AS last_actor
FROM
(
    SELECT
        id, kind, school,
        argMin(device, number) AS first_device,
        argMax(severity, number) AS last_severity,
        argMax(action, number) AS last_action,
        min(time) AS opened,
        minOrNullIf(decided, action = 'opened') AS detected,
        minOrNullIf(decided, action = 'resolved') AS resolved,
        max(count) AS presses,
        max(drill) AS any_drill
    FROM alert_transitions
    GROUP BY id, kind, school
) AS t
LEFT JOIN
(
    SELECT
        alert,
        minOrNullIf(kafka_time, took = 'acknowledged') AS acknowledged,
        minOrNullIf(kafka_time, took = 'dispatched') AS dispatched,
        minOrNullIf(kafka_time, took = 'arrived') AS arrived,
        if(argMaxIf(took, kafka_time, took IN ('closed', 'reopened')) = 'closed',
           maxOrNullIf(kafka_time, took = 'closed'), NULL) AS closed,
        argMaxIf(outcome, kafka_time, took = 'closed') AS outcome,
        argMax(actor, kafka_time) AS last_actor
    FROM alert_steps
    GROUP BY alert
) AS s ON s.alert = t.id;

ALTER TABLE schools_feed MODIFY QUERY
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, bells, provider, programs, teacher_assistants, devices, device_kinds,
    device_periods_s, kafka_offset, center
FROM registry;
