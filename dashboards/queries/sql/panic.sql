-- Panic and dispatch. The steps: pressed, seen by us (detected), sent to a police center, delivered there,
-- acknowledged by an operator, dispatched, arrived, closed. Seconds count from the press, and from the
-- reopening where an alarm was opened again. Declared drills are counted by themselves.

-- query: panic_open
-- shape: table
-- asked: which panics are open, and who waits longest? Drills last.
-- columns: school, name, region, center, device, opened, delivered, acknowledged, dispatched, arrived, presses, late, drill, seconds
SELECT
    a.school AS school, s.name_$lang AS name, s.region AS region,
    if(a.center != '', a.center, s.center) AS center, a.first_device AS device, a.opened AS opened,
    a.delivered AS delivered, a.acknowledged AS acknowledged, a.dispatched AS dispatched, a.arrived AS arrived,
    a.presses AS presses, if(a.late, 'late', '') AS late, if(a.drill, 'drill', '') AS drill,
    dateDiff('second', a.waiting, now64(3)) AS seconds
FROM published_alerts AS a
LEFT JOIN published_schools AS s ON s.school = a.school
WHERE a.kind = 'panic' AND a.resolved IS NULL
ORDER BY drill, a.acknowledged IS NOT NULL, a.waiting

-- query: panic_totals
-- shape: numbers
-- asked: how many alarms, how many acknowledged within 60 s, how many never, what is the median, and how many were late, false or drills?
-- columns: alarms, within_60_s, unacknowledged, median_s, late, false_alarms, drills
SELECT
    countIf(NOT drill) AS alarms,
    countIf(NOT drill AND dateDiff('millisecond', waiting, acknowledged) <= 60000) AS within_60_s,
    countIf(NOT drill AND acknowledged IS NULL) AS unacknowledged,
    coalesce(quantileExactIf(0.5)(dateDiff('millisecond', waiting, acknowledged) / 1000, NOT drill AND acknowledged IS NOT NULL), 0) AS median_s,
    countIf(a.late AND NOT drill) AS late,
    countIf(outcome = 'false') AS false_alarms,
    countIf(drill) AS drills
FROM published_alerts AS a
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
-- asked: how long after the press is each step taken (half are faster; of the acknowledgements also 95 percent)?
-- columns: time, detected_p50_s, sent_p50_s, delivered_p50_s, acknowledged_p50_s, acknowledged_p95_s, dispatched_p50_s, arrived_p50_s, closed_p50_s
SELECT
    $__timeInterval(opened) AS time,
    quantileExactIf(0.5)(dateDiff('millisecond', opened, detected) / 1000, detected IS NOT NULL) AS detected_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, sent) / 1000, sent IS NOT NULL) AS sent_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, delivered) / 1000, delivered IS NOT NULL) AS delivered_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, acknowledged) / 1000, acknowledged IS NOT NULL) AS acknowledged_p50_s,
    quantileExactIf(0.95)(dateDiff('millisecond', waiting, acknowledged) / 1000, acknowledged IS NOT NULL) AS acknowledged_p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, dispatched) / 1000, dispatched IS NOT NULL) AS dispatched_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, arrived) / 1000, arrived IS NOT NULL) AS arrived_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', waiting, closed) / 1000, closed IS NOT NULL) AS closed_p50_s
FROM published_alerts
WHERE kind = 'panic' AND NOT drill AND $__timeFilter(opened)
GROUP BY time
ORDER BY time

-- query: panic_step_times
-- shape: table
-- asked: how many alarms reached each step, and how long after the press?
-- columns: step, alarms, share, p50_s, p95_s, worst_s
SELECT
    taken.2 AS step, countIf(taken.3 IS NOT NULL) AS alarms, round(alarms / count(), 4) AS share,
    quantileExactIf(0.5)(taken.3, taken.3 IS NOT NULL) AS p50_s,
    quantileExactIf(0.95)(taken.3, taken.3 IS NOT NULL) AS p95_s,
    maxIf(taken.3, taken.3 IS NOT NULL) AS worst_s
FROM
(
    SELECT arrayJoin([
        (1, 'pressed', toNullable(toFloat64(0))),
        (2, 'detected', toFloat64(dateDiff('millisecond', opened, detected) / 1000)),
        (3, 'sent', toFloat64(dateDiff('millisecond', waiting, sent) / 1000)),
        (4, 'delivered', toFloat64(dateDiff('millisecond', waiting, delivered) / 1000)),
        (5, 'acknowledged', toFloat64(dateDiff('millisecond', waiting, acknowledged) / 1000)),
        (6, 'dispatched', toFloat64(dateDiff('millisecond', waiting, dispatched) / 1000)),
        (7, 'arrived', toFloat64(dateDiff('millisecond', waiting, arrived) / 1000)),
        (8, 'closed', toFloat64(dateDiff('millisecond', waiting, closed) / 1000))
    ]) AS taken
    FROM published_alerts
    WHERE kind = 'panic' AND NOT drill AND $__timeFilter(opened)
)
GROUP BY taken.1, step
ORDER BY taken.1

-- query: panic_by_region
-- shape: table
-- asked: how fast is each region, the slowest first?
-- columns: region, alarms, unacknowledged, delivered_p95_s, p50_s, p95_s, dispatched_p50_s, arrived_p50_s, false_alarms
SELECT
    substring(a.school, 1, 5) AS region, count() AS alarms,
    countIf(a.acknowledged IS NULL) AS unacknowledged,
    quantileExactIf(0.95)(dateDiff('millisecond', a.waiting, a.delivered) / 1000, a.delivered IS NOT NULL) AS delivered_p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.acknowledged) / 1000, a.acknowledged IS NOT NULL) AS p50_s,
    quantileExactIf(0.95)(dateDiff('millisecond', a.waiting, a.acknowledged) / 1000, a.acknowledged IS NOT NULL) AS p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.dispatched) / 1000, a.dispatched IS NOT NULL) AS dispatched_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.arrived) / 1000, a.arrived IS NOT NULL) AS arrived_p50_s,
    countIf(a.outcome = 'false') AS false_alarms
FROM published_alerts AS a
WHERE a.kind = 'panic' AND NOT a.drill AND $__timeFilter(a.opened)
GROUP BY region
ORDER BY p95_s DESC, region

-- query: panic_by_center
-- shape: table
-- asked: how fast is each operational control center (the one that took the alarm, else the school's own), the slowest first?
-- columns: center, alarms, unacknowledged, delivered_p95_s, p50_s, p95_s, dispatched_p50_s, arrived_p50_s, false_alarms
SELECT
    multiIf(a.center != '', a.center, s.center != '', s.center, 'none') AS center, count() AS alarms,
    countIf(a.acknowledged IS NULL) AS unacknowledged,
    quantileExactIf(0.95)(dateDiff('millisecond', a.waiting, a.delivered) / 1000, a.delivered IS NOT NULL) AS delivered_p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.acknowledged) / 1000, a.acknowledged IS NOT NULL) AS p50_s,
    quantileExactIf(0.95)(dateDiff('millisecond', a.waiting, a.acknowledged) / 1000, a.acknowledged IS NOT NULL) AS p95_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.dispatched) / 1000, a.dispatched IS NOT NULL) AS dispatched_p50_s,
    quantileExactIf(0.5)(dateDiff('millisecond', a.waiting, a.arrived) / 1000, a.arrived IS NOT NULL) AS arrived_p50_s,
    countIf(a.outcome = 'false') AS false_alarms
FROM published_alerts AS a
LEFT JOIN published_schools AS s ON s.school = a.school
WHERE a.kind = 'panic' AND NOT a.drill AND $__timeFilter(a.opened)
GROUP BY center
ORDER BY p95_s DESC, center

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

-- query: panic_outcomes
-- shape: bars
-- asked: what did the alarms turn out to be, by region? Not judged: open, or closed without a word on it.
-- columns: region, real, false_alarms, drills, not_judged
SELECT
    substring(school, 1, 5) AS region,
    countIf(outcome = 'real') AS real,
    countIf(outcome = 'false') AS false_alarms,
    countIf(outcome = 'drill' OR (drill AND outcome = '')) AS drills,
    count() - real - false_alarms - drills AS not_judged
FROM published_alerts
WHERE kind = 'panic' AND $__timeFilter(opened)
GROUP BY region
ORDER BY false_alarms DESC, region

-- query: panic_slowest
-- shape: table
-- asked: which alarms waited longest for somebody?
-- columns: school, region, center, opened, acknowledged, dispatched, arrived, outcome, failures, seconds
SELECT
    school, substring(school, 1, 5) AS region, center, opened, acknowledged, dispatched, arrived, outcome, failures,
    dateDiff('second', waiting, coalesce(acknowledged, resolved, now64(3))) AS seconds
FROM published_alerts
WHERE kind = 'panic' AND NOT drill AND $__timeFilter(opened)
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
