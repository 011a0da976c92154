-- Rollups at 1 minute, 5 minutes and 1 hour per school, fed by materialized views in the same insert as
-- the raw rows, so that one deduplication token guards them all. Buckets are of event time.

-- Asked: how full is the arrival rush right now, and who is inside? (map, school page; 7 days)
CREATE TABLE IF NOT EXISTS flow_1m
(
    school    LowCardinality(String),
    bucket    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    came_in   UInt64 CODEC(T64, ZSTD(1)),
    went_out  UInt64 CODEC(T64, ZSTD(1)),
    denied    UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toMonday(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS flow_1m_feed TO flow_1m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    countIf(direction = 'in' AND outcome = 'granted') AS came_in,
    countIf(direction = 'out' AND outcome = 'granted') AS went_out,
    countIf(outcome != 'granted') AS denied
FROM passes
GROUP BY school, bucket;

-- Asked: is this school's flow as expected at this time of day? (90 days)
CREATE TABLE IF NOT EXISTS flow_5m
(
    school    LowCardinality(String),
    bucket    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    came_in   UInt64 CODEC(T64, ZSTD(1)),
    went_out  UInt64 CODEC(T64, ZSTD(1)),
    denied    UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS flow_5m_feed TO flow_5m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 5 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    countIf(direction = 'in' AND outcome = 'granted') AS came_in,
    countIf(direction = 'out' AND outcome = 'granted') AS went_out,
    countIf(outcome != 'granted') AS denied
FROM passes
GROUP BY school, bucket;

-- Asked: attendance by day and month (3 years).
CREATE TABLE IF NOT EXISTS flow_1h
(
    school    LowCardinality(String),
    bucket    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    came_in   UInt64 CODEC(T64, ZSTD(1)),
    went_out  UInt64 CODEC(T64, ZSTD(1)),
    denied    UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 3 YEAR
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS flow_1h_feed TO flow_1h AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 HOUR, 'UTC')::DateTime('UTC') AS bucket,
    countIf(direction = 'in' AND outcome = 'granted') AS came_in,
    countIf(direction = 'out' AND outcome = 'granted') AS went_out,
    countIf(outcome != 'granted') AS denied
FROM passes
GROUP BY school, bucket;

-- Asked: were this school's devices heard in each 1 minute, how were battery, link and buffers?
CREATE TABLE IF NOT EXISTS heartbeats_1m
(
    school       LowCardinality(String),
    kind         LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    beats        SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    min_battery  SimpleAggregateFunction(min, Nullable(UInt8)),
    min_link     SimpleAggregateFunction(min, UInt8),
    max_buffered SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1)),
    max_skew_ms  SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(bucket)
ORDER BY (school, kind, bucket)
TTL bucket + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS heartbeats_1m_feed TO heartbeats_1m AS
SELECT
    school,
    kind,
    toStartOfInterval(time, INTERVAL 1 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    count() AS beats,
    min(battery_pct) AS min_battery,
    min(link_pct) AS min_link,
    max(buffered) AS max_buffered,
    max(toUInt32(abs(clock_offset_ms))) AS max_skew_ms
FROM heartbeats
GROUP BY school, kind, bucket;

-- Asked: were this school's devices heard in each 5 minute, how were battery, link and buffers?
CREATE TABLE IF NOT EXISTS heartbeats_5m
(
    school       LowCardinality(String),
    kind         LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    beats        SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    min_battery  SimpleAggregateFunction(min, Nullable(UInt8)),
    min_link     SimpleAggregateFunction(min, UInt8),
    max_buffered SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1)),
    max_skew_ms  SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, kind, bucket)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS heartbeats_5m_feed TO heartbeats_5m AS
SELECT
    school,
    kind,
    toStartOfInterval(time, INTERVAL 5 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    count() AS beats,
    min(battery_pct) AS min_battery,
    min(link_pct) AS min_link,
    max(buffered) AS max_buffered,
    max(toUInt32(abs(clock_offset_ms))) AS max_skew_ms
FROM heartbeats
GROUP BY school, kind, bucket;

-- Asked: were this school's devices heard in each 1 hour, how were battery, link and buffers?
CREATE TABLE IF NOT EXISTS heartbeats_1h
(
    school       LowCardinality(String),
    kind         LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    beats        SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    min_battery  SimpleAggregateFunction(min, Nullable(UInt8)),
    min_link     SimpleAggregateFunction(min, UInt8),
    max_buffered SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1)),
    max_skew_ms  SimpleAggregateFunction(max, UInt32) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, kind, bucket)
TTL bucket + INTERVAL 3 YEAR
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS heartbeats_1h_feed TO heartbeats_1h AS
SELECT
    school,
    kind,
    toStartOfInterval(time, INTERVAL 1 HOUR, 'UTC')::DateTime('UTC') AS bucket,
    count() AS beats,
    min(battery_pct) AS min_battery,
    min(link_pct) AS min_link,
    max(buffered) AS max_buffered,
    max(toUInt32(abs(clock_offset_ms))) AS max_skew_ms
FROM heartbeats
GROUP BY school, kind, bucket;

-- Asked: how many reports, crimes and calls for help, of which kind, in each 1 minute?
CREATE TABLE IF NOT EXISTS incidents_1m
(
    school      LowCardinality(String),
    bucket      DateTime('UTC') CODEC(Delta, ZSTD(1)),
    type        LowCardinality(String),
    channel     LowCardinality(String),
    category    LowCardinality(String),
    involvement LowCardinality(String),
    severity    LowCardinality(String),
    events      UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toMonday(bucket)
ORDER BY (school, bucket, type, channel, category, involvement, severity)
TTL bucket + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS incidents_1m_feed TO incidents_1m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    type, channel, category, involvement, severity,
    count() AS events
FROM incidents
GROUP BY school, bucket, type, channel, category, involvement, severity;

-- Asked: how many reports, crimes and calls for help, of which kind, in each 5 minute?
CREATE TABLE IF NOT EXISTS incidents_5m
(
    school      LowCardinality(String),
    bucket      DateTime('UTC') CODEC(Delta, ZSTD(1)),
    type        LowCardinality(String),
    channel     LowCardinality(String),
    category    LowCardinality(String),
    involvement LowCardinality(String),
    severity    LowCardinality(String),
    events      UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket, type, channel, category, involvement, severity)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS incidents_5m_feed TO incidents_5m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 5 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    type, channel, category, involvement, severity,
    count() AS events
FROM incidents
GROUP BY school, bucket, type, channel, category, involvement, severity;

-- Asked: how many reports, crimes and calls for help, of which kind, in each 1 hour?
CREATE TABLE IF NOT EXISTS incidents_1h
(
    school      LowCardinality(String),
    bucket      DateTime('UTC') CODEC(Delta, ZSTD(1)),
    type        LowCardinality(String),
    channel     LowCardinality(String),
    category    LowCardinality(String),
    involvement LowCardinality(String),
    severity    LowCardinality(String),
    events      UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket, type, channel, category, involvement, severity)
TTL bucket + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS incidents_1h_feed TO incidents_1h AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 HOUR, 'UTC')::DateTime('UTC') AS bucket,
    type, channel, category, involvement, severity,
    count() AS events
FROM incidents
GROUP BY school, bucket, type, channel, category, involvement, severity;

-- Asked: how many presses, cancels and tests in each 1 minute?
CREATE TABLE IF NOT EXISTS panics_1m
(
    school       LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    pressed      UInt64,
    cancelled    UInt64,
    tests        UInt64,
    tests_failed UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toMonday(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS panics_1m_feed TO panics_1m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    countIf(type = 'panic.pressed') AS pressed,
    countIf(type = 'panic.cancelled') AS cancelled,
    countIf(type = 'panic.test') AS tests,
    countIf(type = 'panic.test' AND NOT passed) AS tests_failed
FROM panics
GROUP BY school, bucket;

-- Asked: how many presses, cancels and tests in each 5 minute?
CREATE TABLE IF NOT EXISTS panics_5m
(
    school       LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    pressed      UInt64,
    cancelled    UInt64,
    tests        UInt64,
    tests_failed UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS panics_5m_feed TO panics_5m AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 5 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    countIf(type = 'panic.pressed') AS pressed,
    countIf(type = 'panic.cancelled') AS cancelled,
    countIf(type = 'panic.test') AS tests,
    countIf(type = 'panic.test' AND NOT passed) AS tests_failed
FROM panics
GROUP BY school, bucket;

-- Asked: how many presses, cancels and tests in each 1 hour?
CREATE TABLE IF NOT EXISTS panics_1h
(
    school       LowCardinality(String),
    bucket       DateTime('UTC') CODEC(Delta, ZSTD(1)),
    pressed      UInt64,
    cancelled    UInt64,
    tests        UInt64,
    tests_failed UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (school, bucket)
TTL bucket + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 20000;

CREATE MATERIALIZED VIEW IF NOT EXISTS panics_1h_feed TO panics_1h AS
SELECT
    school,
    toStartOfInterval(time, INTERVAL 1 HOUR, 'UTC')::DateTime('UTC') AS bucket,
    countIf(type = 'panic.pressed') AS pressed,
    countIf(type = 'panic.cancelled') AS cancelled,
    countIf(type = 'panic.test') AS tests,
    countIf(type = 'panic.test' AND NOT passed) AS tests_failed
FROM panics
GROUP BY school, bucket;
