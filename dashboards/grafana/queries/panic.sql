-- Panic and dispatch. The steps: pressed (opened), seen by us (detected), acknowledged, resolved.

-- query: panic_open
-- shape: table
-- asked: which panics are open, and who waits longest?
-- columns: school, name, region, device, opened, acknowledged, presses, seconds
SELECT
    a.school AS school, s.name_$lang AS name, s.region AS region, a.first_device AS device,
    a.opened AS opened, a.acknowledged AS acknowledged, a.presses AS presses,
    dateDiff('second', a.opened, now64(3)) AS seconds
FROM published_alerts AS a
LEFT JOIN published_schools AS s ON s.school = a.school
WHERE a.kind = 'panic' AND a.resolved IS NULL
ORDER BY a.acknowledged IS NOT NULL, opened

-- query: panic_totals
-- shape: numbers
-- asked: how many alarms, how many acknowledged within 60 s, how many never, and what is the median?
-- columns: alarms, within_60_s, unacknowledged, median_s
SELECT
    count() AS alarms,
    countIf(dateDiff('millisecond', opened, acknowledged) <= 60000) AS within_60_s,
    countIf(acknowledged IS NULL) AS unacknowledged,
    coalesce(quantileExactIf(0.5)(dateDiff('millisecond', opened, acknowledged) / 1000, acknowledged IS NOT NULL), 0) AS median_s
FROM published_alerts
WHERE kind = 'panic' AND $__timeFilter(opened)

-- query: panic_presses
-- shape: series
-- asked: how many presses, cancels and tests, by hour?
-- columns: time, pressed, cancelled, tests, tests_failed
SELECT
    toStartOfInterval(bucket, INTERVAL 1 HOUR) AS time,
    sum(pressed) AS pressed, sum(cancelled) AS cancelled,
    sum(tests) AS tests, sum(tests_failed) AS tests_failed
FROM published_panics_1h
WHERE $__timeFilter(bucket) AND $__conditionalAll(substring(school, 1, 5) IN (${region:singlequote}), $region)
GROUP BY time
ORDER BY time

-- query: panic_steps
-- shape: series
-- asked: how long does each step take?
-- columns: time, detected_p50_s, acknowledged_p50_s, acknowledged_p95_s, resolved_p50_s
SELECT
    $__timeInterval(opened) AS time,
    quantileExactIf(0.5)(dateDiff('millisecond', opened, detected) / 1000, detected IS NOT NULL) AS detected_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', opened, acknowledged) / 1000, acknowledged IS NOT NULL) AS acknowledged_p50_s,
    quantileExactIf(0.95)(dateDiff('millisecond', opened, acknowledged) / 1000, acknowledged IS NOT NULL) AS acknowledged_p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', opened, resolved) / 1000, resolved IS NOT NULL) AS resolved_p50_s
FROM published_alerts
WHERE kind = 'panic' AND $__timeFilter(opened)
GROUP BY time
ORDER BY time

-- query: panic_by_region
-- shape: table
-- asked: how fast is each region, the slowest first?
-- columns: region, alarms, unacknowledged, p50_s, p95_s
SELECT
    substring(school, 1, 5) AS region, count() AS alarms,
    countIf(acknowledged IS NULL) AS unacknowledged,
    quantileExactIf(0.5)(dateDiff('millisecond', opened, acknowledged) / 1000, acknowledged IS NOT NULL) AS p50_s,
    quantileExactIf(0.95)(dateDiff('millisecond', opened, acknowledged) / 1000, acknowledged IS NOT NULL) AS p95_s
FROM published_alerts
WHERE kind = 'panic' AND $__timeFilter(opened)
GROUP BY region
ORDER BY p95_s DESC, region

-- query: panic_false
-- shape: bars
-- asked: which share of presses does the school itself call a mistake, by region?
-- columns: region, pressed, cancelled
SELECT substring(school, 1, 5) AS region, sum(pressed) AS pressed, sum(cancelled) AS cancelled
FROM published_panics_1h
WHERE $__timeFilter(bucket)
GROUP BY region
HAVING pressed > 0
ORDER BY cancelled DESC, region

-- query: panic_by_hour
-- shape: bars
-- asked: at which hour of the school day are the buttons pressed?
-- columns: hour, pressed
SELECT leftPad(toString(toHour(bucket, 'Asia/Almaty')), 2, '0') AS hour, sum(pressed) AS pressed
FROM published_panics_1h
WHERE $__timeFilter(bucket)
GROUP BY hour
ORDER BY hour

-- query: panic_slowest
-- shape: table
-- asked: which alarms waited longest for somebody?
-- columns: school, region, opened, acknowledged, seconds
SELECT
    school, substring(school, 1, 5) AS region, opened, acknowledged,
    dateDiff('second', opened, coalesce(acknowledged, resolved, now64(3))) AS seconds
FROM published_alerts
WHERE kind = 'panic' AND $__timeFilter(opened)
ORDER BY seconds DESC, school
LIMIT 50

-- query: tests_overdue
-- shape: table
-- asked: which buttons were not tested for a week, or failed the last test?
-- columns: school, name, region, device, last_test, days, passed
SELECT
    d.school AS school, s.name_$lang AS name, s.region AS region, d.device AS device,
    if(t.device = '', NULL, t.last_test) AS last_test, dateDiff('day', last_test, now64(3)) AS days,
    multiIf(t.device = '', 'never tested', t.last_passed = t.last_test, 'yes', 'no') AS passed
FROM published_devices AS d
INNER JOIN published_schools AS s ON s.school = d.school
LEFT JOIN published_panic_tests AS t ON t.school = d.school AND t.device = d.device
WHERE d.kind = 'panic_button'
    AND (t.last_test < now64(3) - INTERVAL 7 DAY OR t.last_passed != t.last_test)
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
ORDER BY days IS NULL DESC, days DESC, school, device
LIMIT 1000

-- query: tests_by_region
-- shape: bars
-- asked: how many buttons were tested within a week, and how many not, by region?
-- columns: region, tested, overdue
SELECT
    substring(d.school, 1, 5) AS region,
    countIf(t.last_test >= now64(3) - INTERVAL 7 DAY) AS tested,
    count() - tested AS overdue
FROM published_devices AS d
LEFT JOIN published_panic_tests AS t ON t.school = d.school AND t.device = d.device
WHERE d.kind = 'panic_button'
GROUP BY region
ORDER BY overdue DESC, region
