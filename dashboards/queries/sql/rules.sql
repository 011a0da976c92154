-- Alert rules: one number, the rest labels. Every school, region or worker is always in the answer, also
-- with 0: an alert whose row vanishes would resolve itself.

-- query: rule_school_offline
-- shape: alert
-- asked: for how many seconds has each school been silent? 0 while its district is down as a whole.
-- columns: school, name_kk, name_ru, name_en, region, district, provider, seconds
SELECT
    s.school AS school, s.name_kk AS name_kk, s.name_ru AS name_ru, s.name_en AS name_en,
    s.region AS region, s.district AS district, s.provider AS provider,
    if(n.status = 'offline' AND NOT (d.offline >= 5 AND d.offline >= 0.3 * d.schools), dateDiff('second', n.since, now64(3)), 0) AS seconds
FROM published_schools AS s
LEFT JOIN (SELECT school, status, since FROM published_status WHERE device = '') AS n ON n.school = s.school
LEFT JOIN
(
    SELECT k.region AS region, k.district AS district, count() AS schools, countIf(m.status = 'offline') AS offline
    FROM published_schools AS k
    LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS m ON m.school = k.school
    GROUP BY region, district
) AS d ON d.region = s.region AND d.district = s.district
ORDER BY school

-- query: rule_district_outage
-- shape: alert
-- asked: which share of each district's schools is offline, in percent? 0 below 5 schools.
-- columns: region, district, percent
SELECT s.region AS region, s.district AS district, if(countIf(n.status = 'offline') < 5, 0, 100 * countIf(n.status = 'offline') / count()) AS percent
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school
GROUP BY region, district
ORDER BY region, district

-- query: rule_provider_outage
-- shape: alert
-- asked: which share of each provider's schools in a region is offline, in percent? 0 below 5 schools.
-- columns: region, provider, percent
SELECT s.region AS region, s.provider AS provider, if(countIf(n.status = 'offline') < 5, 0, 100 * countIf(n.status = 'offline') / count()) AS percent
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school
GROUP BY region, provider
ORDER BY region, provider

-- query: rule_panic_unacknowledged
-- shape: alert
-- asked: for how many seconds has a panic of each school waited for somebody? Not a declared drill, nor what is closed. Schools that no registry knows are there too.
-- columns: school, region, name_kk, name_ru, name_en, seconds
SELECT
    k.school AS school, substring(k.school, 1, 5) AS region,
    s.name_kk AS name_kk, s.name_ru AS name_ru, s.name_en AS name_en, max(k.waiting) AS seconds
FROM
(
    SELECT toString(school) AS school, 0 AS waiting FROM published_schools
    UNION ALL
    SELECT toString(a.school) AS school, dateDiff('second', a.waiting, now64(3)) AS waiting
    FROM published_alerts AS a
    WHERE a.kind = 'panic' AND NOT a.drill AND a.acknowledged IS NULL AND a.resolved IS NULL
) AS k
LEFT JOIN published_schools AS s ON s.school = k.school
GROUP BY school, region, name_kk, name_ru, name_en
ORDER BY school

-- query: rule_panic_test_overdue
-- shape: alert
-- asked: for how many days has each school's oldest button test been overdue?
-- columns: school, region, name_kk, name_ru, name_en, days
SELECT
    s.school AS school, s.region AS region, s.name_kk AS name_kk, s.name_ru AS name_ru, s.name_en AS name_en,
    if(b.school = '', 0, dateDiff('day', greatest(b.oldest, now64(3) - INTERVAL 90 DAY), now64(3))) AS days
FROM published_schools AS s
LEFT JOIN
(
    SELECT d.school AS school, min(t.last_test) AS oldest
    FROM published_devices AS d
    LEFT JOIN published_panic_tests AS t ON t.school = d.school AND t.device = d.device
    WHERE d.kind = 'panic_button'
    GROUP BY school
) AS b ON b.school = s.school
ORDER BY school

-- query: rule_dead_letters
-- shape: alert
-- asked: how many dead letters more than in the quarter of an hour before, by reason?
-- columns: reason, more
SELECT
    known.reason AS reason,
    toInt64(sumIf(d.letters, d.bucket >= now() - INTERVAL 15 MINUTE)) - toInt64(sumIf(d.letters, d.bucket < now() - INTERVAL 15 MINUTE)) AS more
FROM
(
    SELECT arrayJoin(['not_utf8', 'not_json', 'unknown_type', 'wrong_topic', 'invalid', 'unknown_school', 'wrong_key', 'too_old', 'in_future', 'too_large', 'duplicate', 'empty']) AS reason
) AS known
LEFT JOIN (SELECT toString(reason) AS reason, bucket, letters FROM published_dead_letters WHERE bucket >= now() - INTERVAL 30 MINUTE) AS d ON d.reason = known.reason
GROUP BY reason
ORDER BY reason

-- query: rule_lag
-- shape: alert
-- asked: how many records wait before each lane?
-- columns: lane, records
SELECT lanes.lane AS lane, sum(l.latest) AS records
FROM
(
    SELECT arrayJoin(['panic', 'liveness', 'outage', 'arrivals', 'flow', 'incident', 'archive']) AS lane
    UNION DISTINCT
    SELECT DISTINCT toString(lane) AS lane
    FROM published_pipeline
    WHERE metric = 'lag_records' AND lane != '' AND sampled >= now() - INTERVAL 1 DAY
) AS lanes
LEFT JOIN
(
    SELECT toString(lane) AS lane, source, topic, argMax(value, sampled) AS latest
    FROM published_pipeline
    WHERE metric = 'lag_records' AND sampled >= now() - INTERVAL 2 MINUTE
    GROUP BY lane, source, topic
) AS l ON l.lane = lanes.lane
GROUP BY lane
ORDER BY lane

-- query: rule_freshness
-- shape: alert
-- asked: how old is each lane's watermark, in seconds? A lane that is not sampled is as old as its silence.
-- columns: lane, seconds
SELECT
    lanes.lane AS lane,
    if(l.lane = '', 86400, greatest(l.watermark, l.silence)) AS seconds
FROM
(
    SELECT arrayJoin(['panic', 'liveness', 'outage', 'arrivals', 'flow', 'incident', 'archive']) AS lane
    UNION DISTINCT
    SELECT DISTINCT toString(lane) AS lane
    FROM published_pipeline
    WHERE metric = 'watermark_age_seconds' AND lane != '' AND sampled >= now() - INTERVAL 1 DAY
) AS lanes
LEFT JOIN
(
    SELECT toString(lane) AS lane, max(latest) AS watermark, toFloat64(min(age)) AS silence
    FROM
    (
        SELECT lane, source, argMax(value, sampled) AS latest, dateDiff('second', max(sampled), now()) AS age
        FROM published_pipeline
        WHERE metric = 'watermark_age_seconds' AND sampled >= now() - INTERVAL 1 DAY
        GROUP BY lane, source
    )
    GROUP BY lane
) AS l ON l.lane = lanes.lane
ORDER BY lane

-- query: rule_watchdog
-- shape: alert
-- asked: for how many seconds has the watchdog been silent? A day when it was never heard.
-- columns: source, seconds
SELECT 'watchdog' AS source, if(count() = 0, 86400, argMax(value, sampled) + dateDiff('second', max(sampled), now())) AS seconds
FROM published_pipeline
WHERE metric = 'watchdog_age_seconds' AND sampled >= now() - INTERVAL 1 DAY

-- query: rule_contract
-- shape: alert
-- asked: in how many days does each school's contract run out? 9999 where the duty asks for none, -1 where there is none.
-- columns: school, region, name_kk, name_ru, name_en, days_left
SELECT
    s.school AS school, s.region AS region, s.name_kk AS name_kk, s.name_ru AS name_ru, s.name_en AS name_en,
    multiIf(s.pupils <= 100, 9999, e.contract_expires IS NULL, -1, dateDiff('day', today(), assumeNotNull(e.contract_expires))) AS days_left
FROM published_schools AS s
LEFT JOIN published_equipment AS e ON e.school = s.school
ORDER BY school
