-- The pipeline's own trouble. Counters are sampled every 10 s and start at 0 with their process, so a
-- rate is the sum of the rises.

-- query: throughput
-- shape: series
-- asked: how many events a second does each lane handle?
-- columns: time, lane, events_per_s
SELECT time, lane, sum(rise) / $__interval_s AS events_per_s
FROM
(
    SELECT
        $__timeInterval(sampled) AS time, lane,
        value - lagInFrame(value, 1, value) OVER (PARTITION BY source, lane ORDER BY sampled ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS difference,
        if(difference < 0, value, difference) AS rise
    FROM published_pipeline
    WHERE metric = 'events_total' AND $__timeFilter(sampled)
)
GROUP BY time, lane
ORDER BY time, lane

-- query: lag
-- shape: series
-- asked: how many records wait in each topic?
-- columns: time, topic, records
SELECT time, topic, max(waiting) AS records
FROM
(
    SELECT $__timeInterval(sampled) AS time, topic, sampled, sum(value) AS waiting
    FROM published_pipeline
    WHERE metric = 'lag_records' AND $__timeFilter(sampled)
    GROUP BY time, topic, sampled
)
GROUP BY time, topic
ORDER BY time, topic

-- query: latency
-- shape: series
-- asked: how long from the broker to the decision or the stored row, by lane (99 percent are faster)?
-- columns: time, lane, p99_s
SELECT $__timeInterval(sampled) AS time, lane, max(value) AS p99_s
FROM published_pipeline
WHERE metric = 'latency_p99_seconds' AND $__timeFilter(sampled)
GROUP BY time, lane
ORDER BY time, lane

-- query: dead_letters
-- shape: series
-- asked: how many dead letters, by reason?
-- columns: time, reason, letters
SELECT toStartOfInterval(bucket, INTERVAL 5 MINUTE) AS time, reason, sum(letters) AS letters
FROM published_dead_letters
WHERE $__timeFilter(bucket)
GROUP BY time, reason
ORDER BY time, reason

-- query: dead_letters_by_topic
-- shape: table
-- asked: which topic has which dead letters?
-- columns: topic, reason, letters, bytes, latest
SELECT topic, reason, sum(d.letters) AS letters, sum(d.bytes) AS bytes, max(bucket) AS latest
FROM published_dead_letters AS d
WHERE $__timeFilter(bucket)
GROUP BY topic, reason
ORDER BY letters DESC, topic, reason

-- query: inserts
-- shape: series
-- asked: how many rows a second does ClickHouse take in?
-- columns: time, rows_per_s
SELECT time, sum(rise) / $__interval_s AS rows_per_s
FROM
(
    SELECT
        $__timeInterval(sampled) AS time,
        value - lagInFrame(value, 1, value) OVER (PARTITION BY source ORDER BY sampled ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS difference,
        if(difference < 0, value, difference) AS rise
    FROM published_pipeline
    WHERE metric = 'rows_inserted_total' AND $__timeFilter(sampled)
)
GROUP BY time
ORDER BY time

-- query: parts
-- shape: series
-- asked: how many parts has each table? Thousands mean that merges don't keep up.
-- columns: time, table, parts
SELECT $__timeInterval(sampled) AS time, topic AS table, max(value) AS parts
FROM published_pipeline
WHERE metric = 'parts' AND $__timeFilter(sampled)
GROUP BY time, table
ORDER BY time, table

-- query: cpu_per_event
-- shape: series
-- asked: how much CPU does an event cost in each worker, in microseconds?
-- columns: time, source, us_per_event
SELECT time, source, 1e6 * sumIf(rise, metric = 'cpu_seconds_total') / greatest(sumIf(rise, metric = 'events_total'), 1) AS us_per_event
FROM
(
    SELECT
        $__timeInterval(sampled) AS time, source, metric,
        value - lagInFrame(value, 1, value) OVER (PARTITION BY source, lane, metric ORDER BY sampled ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS difference,
        if(difference < 0, value, difference) AS rise
    FROM published_pipeline
    WHERE metric IN ('cpu_seconds_total', 'events_total') AND $__timeFilter(sampled)
)
GROUP BY time, source
HAVING countIf(metric = 'events_total') > 0
ORDER BY time, source

-- query: watermarks
-- shape: series
-- asked: how far behind the clock is each worker's watermark?
-- columns: time, source, age_s
SELECT $__timeInterval(sampled) AS time, source, max(value) AS age_s
FROM published_pipeline
WHERE metric = 'watermark_age_seconds' AND $__timeFilter(sampled)
GROUP BY time, source
ORDER BY time, source

-- query: pipeline_now
-- shape: numbers
-- asked: how many records wait, how old is the oldest watermark, and when did the watchdog last speak?
-- columns: lag_records, watermark_age_s, watchdog_age_s, sampler_age_s
SELECT
    sumIf(latest, metric = 'lag_records') AS lag_records,
    maxIf(latest, metric = 'watermark_age_seconds') AS watermark_age_s,
    maxIf(latest, metric = 'watchdog_age_seconds') AS watchdog_age_s,
    min(age) AS sampler_age_s
FROM
(
    SELECT metric, source, topic, argMax(value, sampled) AS latest, dateDiff('second', max(sampled), now()) AS age
    FROM published_pipeline
    WHERE sampled >= now() - INTERVAL 1 HOUR
    GROUP BY metric, source, topic
)

-- query: workers
-- shape: states
-- asked: which workers were heard?
-- columns: time, source, state
SELECT $__timeInterval(sampled) AS time, source, 'up' AS state
FROM published_pipeline
WHERE metric = 'events_total' AND $__timeFilter(sampled)
GROUP BY time, source
ORDER BY time, source

-- query: press_to_alert
-- shape: series
-- asked: how long from the press of a button that is the watchdog's own to its alert?
-- columns: time, seconds
SELECT $__timeInterval(sampled) AS time, max(value) AS seconds
FROM published_pipeline
WHERE metric = 'press_to_alert_seconds' AND $__timeFilter(sampled)
GROUP BY time
ORDER BY time
