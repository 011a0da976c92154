-- What a record is named by: (kafka_partition, kafka_offset) names a record of one life of a topic only,
-- for a topic may be deleted and made anew, and an unclean election may take a log's end back. With
-- kafka_time, Kafka's own, it names it for good.

-- Asked: which records did Kafka delete before a lane had stored them, and how many?
-- last_offset is NULL where nobody can tell how many there were: then records counts those that are known.
CREATE TABLE IF NOT EXISTS losses
(
    topic           LowCardinality(String),
    kafka_partition UInt16,
    topic_id        String,
    first_offset    UInt64,
    last_offset     Nullable(UInt64),
    records         UInt64,
    why             LowCardinality(String),
    found           DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(found)
PARTITION BY toYear(found)
ORDER BY (topic, kafka_partition, topic_id, why, first_offset)
TTL toDateTime(found) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- A letter goes 90 days after it was stored: Kafka's time of its record may be nonsense.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS stored DateTime('UTC') DEFAULT now();
ALTER TABLE dead_letters MODIFY TTL stored + INTERVAL 90 DAY;

-- The newer record of a school, device or step is told by Kafka's time and then by its offset, which begins
-- anew with its topic: the time in ms, and the last 22 bits of the offset. What was fed before has its
-- offset here, which is smaller than that of any time. (The version's column keeps its old name: a
-- replacing table's can't be changed.)
ALTER TABLE schools_feed MODIFY QUERY
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, bells, provider, programs, teacher_assistants, devices, device_kinds,
    device_periods_s,
    bitShiftLeft(toUInt64(toUnixTimestamp64Milli(kafka_time)), 22) + bitAnd(kafka_offset, 4194303) AS kafka_offset,
    center, device_vendors
FROM registry;

ALTER TABLE equipment_feed MODIFY QUERY
SELECT
    school, turnstiles, panic_buttons, gateways, police_link, contract_number, contract_company,
    contract_expires, time AS changed,
    bitShiftLeft(toUInt64(toUnixTimestamp64Milli(kafka_time)), 22) + bitAnd(kafka_offset, 4194303) AS kafka_offset
FROM facilities
WHERE type = 'equipment.changed';

ALTER TABLE status_feed MODIFY QUERY
SELECT
    school, device, kind, status, since, decided,
    bitShiftLeft(toUInt64(toUnixTimestamp64Milli(kafka_time)), 22) + bitAnd(kafka_offset, 4194303) AS kafka_offset
FROM status_history;

ALTER TABLE first_steps_feed MODIFY QUERY
SELECT
    school, alert, took, id, kafka_time, kafka_offset, outcome, target, score,
    18446744073709551615 - bitShiftLeft(toUInt64(toUnixTimestamp64Milli(kafka_time)), 22)
        - bitAnd(kafka_offset, 4194303) AS earlier,
    upto
FROM alert_steps;
