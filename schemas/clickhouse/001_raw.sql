-- Raw events by family. Every row keeps where it came from in Kafka: (kafka_partition, kafka_offset)
-- names a record of its topic for good, and is what exact counts are proven with.
--
-- Partitioned by the day of ingestion (Kafka's clock), not of the event: an insert then touches one
-- partition, or two at midnight, however old the replayed events in it are. The deduplication window
-- counts parts, so it is sized as 100 x 16 Kafka partitions x 2 days, and some more.

-- Asked: who passed at this school around this time (drill-down from the school's page)?
CREATE TABLE IF NOT EXISTS passes
(
    kafka_partition UInt16 CODEC(ZSTD(1)),
    kafka_offset    UInt64 CODEC(Delta, ZSTD(1)),
    kafka_time      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id              UUID CODEC(ZSTD(1)),
    school          LowCardinality(String),
    device          LowCardinality(String),
    time            DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    boot            UInt64 CODEC(ZSTD(1)),
    seq             UInt64 CODEC(Delta, ZSTD(1)),
    direction       Enum8('in' = 1, 'out' = 2),
    outcome         Enum8('granted' = 1, 'unknown_card' = 2, 'expired_card' = 3, 'blocked_card' = 4, 'wrong_time' = 5, 'passback' = 6),
    card            FixedString(16) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (school, time)
TTL toDateTime(kafka_time) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Asked: what did this device last say, and how was its link and battery before it fell silent?
CREATE TABLE IF NOT EXISTS heartbeats
(
    kafka_partition UInt16 CODEC(ZSTD(1)),
    kafka_offset    UInt64 CODEC(Delta, ZSTD(1)),
    kafka_time      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id              UUID CODEC(ZSTD(1)),
    school          LowCardinality(String),
    device          LowCardinality(String),
    time            DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    boot            UInt64 CODEC(ZSTD(1)),
    seq             UInt64 CODEC(Delta, ZSTD(1)),
    kind            LowCardinality(String),
    period_s        UInt32 CODEC(ZSTD(1)),
    battery_pct     Nullable(UInt8),
    link_pct        UInt8,
    provider        LowCardinality(String),
    buffered        UInt32 CODEC(ZSTD(1)),
    clock_offset_ms Int32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (school, device, time)
TTL toDateTime(kafka_time) + INTERVAL 3 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Asked: every press, cancel and test of this school or region, in order; the weekly tests overdue.
CREATE TABLE IF NOT EXISTS panics
(
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    id              UUID,
    school          LowCardinality(String),
    device          LowCardinality(String),
    time            DateTime64(3, 'UTC'),
    boot            UInt64,
    seq             UInt64,
    type            LowCardinality(String),
    duress          Bool,
    place           String,
    press           String,
    passed          Bool
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (school, time)
TTL toDateTime(kafka_time) + INTERVAL 3 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: reports, registered crimes and calls for help, by category, severity, region and month.
-- The text of a report is a child's: it goes after 90 days, the count stays.
CREATE TABLE IF NOT EXISTS incidents
(
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    id              UUID,
    school          LowCardinality(String),
    device          LowCardinality(String),
    time            DateTime64(3, 'UTC'),
    boot            UInt64,
    seq             UInt64,
    type            LowCardinality(String),
    channel         LowCardinality(String),
    category        LowCardinality(String),
    language        LowCardinality(String),
    place           String,
    text            String TTL toDateTime(kafka_time) + INTERVAL 90 DAY,
    case_number     String,
    involvement     LowCardinality(String),
    severity        LowCardinality(String),
    topic           LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (school, time)
TTL toDateTime(kafka_time) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: what was installed at this school when, which contract ran out, what did inspections find?
CREATE TABLE IF NOT EXISTS facilities
(
    kafka_partition    UInt16,
    kafka_offset       UInt64,
    kafka_time         DateTime64(3, 'UTC'),
    id                 UUID,
    school             LowCardinality(String),
    device             LowCardinality(String),
    time               DateTime64(3, 'UTC'),
    boot               UInt64,
    seq                UInt64,
    type               LowCardinality(String),
    turnstiles         UInt16,
    panic_buttons      UInt16,
    gateways           UInt16,
    police_link        Bool,
    contract_number    String,
    contract_company   String,
    contract_expires   Nullable(Date32),
    inspector          String,
    finding_codes      Array(String),
    finding_severities Array(String),
    finding_texts      Array(String)
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (school, time)
TTL toDateTime(kafka_time) + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: what did the registry say of this school on a given day?
CREATE TABLE IF NOT EXISTS registry
(
    kafka_partition    UInt16,
    kafka_offset       UInt64,
    kafka_time         DateTime64(3, 'UTC'),
    id                 UUID,
    school             LowCardinality(String),
    device             LowCardinality(String),
    time               DateTime64(3, 'UTC'),
    boot               UInt64,
    seq                UInt64,
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
    device_periods_s   Array(UInt32)
)
ENGINE = MergeTree
PARTITION BY toYear(kafka_time)
ORDER BY (school, kafka_time)
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: when was this device or school online, and since when is it not?
CREATE TABLE IF NOT EXISTS status_history
(
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    school          LowCardinality(String),
    device          LowCardinality(String),
    kind            LowCardinality(String),
    status          LowCardinality(String),
    previous        LowCardinality(String),
    since           DateTime64(3, 'UTC'),
    decided         DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(kafka_time)
ORDER BY (school, device, since)
TTL toDateTime(kafka_time) + INTERVAL 2 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: the life of this alert; what is open; times per step.
-- Two panic workers say every transition; equal (id, number) are the same transition, so replacing.
CREATE TABLE IF NOT EXISTS alert_transitions
(
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    id              String,
    number          UInt64,
    kind            LowCardinality(String),
    severity        LowCardinality(String),
    action          LowCardinality(String),
    school          LowCardinality(String),
    device          LowCardinality(String),
    time            DateTime64(3, 'UTC'),
    decided         DateTime64(3, 'UTC'),
    count           UInt32,
    event           String,
    unidentified    Bool,
    actor           String,
    note            String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (kind, school, id, number)
TTL toDateTime(time) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- Asked: what could not be read, from where, why, and is it rising? The bytes themselves hold
-- children's data and stay in the restricted topic; here is their hash.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic           LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset    UInt64,
    kafka_time      DateTime64(3, 'UTC'),
    reason          LowCardinality(String),
    path            String,
    detail          String,
    sha256          FixedString(64),
    size_bytes      UInt32
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (topic, reason, kafka_time)
TTL toDateTime(kafka_time) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;
