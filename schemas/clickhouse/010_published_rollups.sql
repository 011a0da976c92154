-- What the dashboards read often and the raw tables answer slowly. Fed by materialized views in the
-- insert of the raw rows, like the rollups of 002, so that the same token guards them.

-- Asked: how full is the arrival rush of each region, minute by minute? A school's id begins with its
-- region (ISO 3166-2), so no join is needed. (live map, 90 days)
CREATE TABLE IF NOT EXISTS region_flow_1m
(
    region    LowCardinality(String),
    bucket    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    came_in   UInt64 CODEC(T64, ZSTD(1)),
    went_out  UInt64 CODEC(T64, ZSTD(1)),
    denied    UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(bucket)
ORDER BY (region, bucket)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 20000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS region_flow_1m_feed TO region_flow_1m AS
SELECT
    substring(school, 1, 5) AS region,
    toStartOfInterval(time, INTERVAL 1 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    countIf(direction = 'in' AND outcome = 'granted') AS came_in,
    countIf(direction = 'out' AND outcome = 'granted') AS went_out,
    countIf(outcome != 'granted') AS denied
FROM passes
GROUP BY region, bucket;

-- Asked: when was this school, as a whole, online, and when not? (outages, service levels, 2 years)
CREATE TABLE IF NOT EXISTS school_transitions
(
    school   LowCardinality(String),
    status   LowCardinality(String),
    previous LowCardinality(String),
    since    DateTime64(3, 'UTC'),
    decided  DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (school, since, status)
TTL toDateTime(decided) + INTERVAL 2 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS school_transitions_feed TO school_transitions AS
SELECT school, status, previous, since, decided
FROM status_history
WHERE device = '';

-- Asked: which button's weekly test is overdue, and how did the last one end?
CREATE TABLE IF NOT EXISTS panic_tests
(
    school      LowCardinality(String),
    device      LowCardinality(String),
    last_test   SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    last_passed SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (school, device)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS panic_tests_feed TO panic_tests AS
SELECT
    school,
    device,
    max(time) AS last_test,
    maxIf(time, passed) AS last_passed
FROM panics
WHERE type = 'panic.test'
GROUP BY school, device;

-- Asked: are dead letters rising, from which topic, and why?
CREATE TABLE IF NOT EXISTS dead_letters_5m
(
    topic   LowCardinality(String),
    reason  LowCardinality(String),
    bucket  DateTime('UTC') CODEC(Delta, ZSTD(1)),
    letters UInt64,
    bytes   UInt64
)
ENGINE = SummingMergeTree
ORDER BY (topic, reason, bucket)
TTL bucket + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dead_letters_5m_feed TO dead_letters_5m AS
SELECT
    topic,
    reason,
    toStartOfInterval(kafka_time, INTERVAL 5 MINUTE, 'UTC')::DateTime('UTC') AS bucket,
    count() AS letters,
    sum(size_bytes) AS bytes
FROM dead_letters
GROUP BY topic, reason, bucket;

-- Asked: how is the pipeline itself? Written every 10 seconds by the sampler, a process beside the
-- stream: it reads the brokers' offsets, the workers' /metrics and system.parts. Counters stay
-- counters, the reader takes differences. Metrics and their sources:
--   events_total, cpu_seconds_total, watermark_age_seconds, latency_p99_seconds   per worker
--   lag_records                                                                   per worker, topic
--   rows_inserted_total, parts, watchdog_age_seconds                              source 'clickhouse' or 'watchdog'
CREATE TABLE IF NOT EXISTS pipeline_metrics
(
    sampled DateTime('UTC') CODEC(Delta, ZSTD(1)),
    source  LowCardinality(String),
    lane    LowCardinality(String),
    metric  LowCardinality(String),
    topic   LowCardinality(String),
    value   Float64 CODEC(Gorilla, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(sampled)
ORDER BY (metric, source, topic, sampled)
TTL sampled + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;
