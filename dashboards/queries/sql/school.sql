-- One school, chosen above.

-- query: school_card
-- shape: table
-- asked: which school is this?
-- columns: school, name, region, district, pupils, ownership, special, shifts, provider, programs, teacher_assistants, expected_devices, center
SELECT
    school, name_$lang AS name, region, district, pupils, ownership,
    if(special, 'yes', 'no') AS special, shifts, provider,
    arrayStringConcat(arraySort(programs), ', ') AS programs, teacher_assistants, expected_devices, center
FROM published_schools
WHERE school = '$school'

-- query: school_now
-- shape: numbers
-- asked: how is the school now (the map's level), for how long, and how many devices are silent?
-- columns: level, minutes, devices_online, devices_silent
SELECT
    max(if(device = '', transform(status, ['online', 'degraded', 'late', 'flapping', 'offline'], [0, 2, 2, 2, 3], 1), 0)) AS level,
    max(if(device = '', round(dateDiff('second', since, now64(3)) / 60, 1), 0)) AS minutes,
    countIf(device != '' AND status = 'online') AS devices_online,
    countIf(device != '' AND status != 'online') AS devices_silent
FROM published_status
WHERE school = '$school'

-- query: school_devices
-- shape: table
-- asked: how is each device, and since when?
-- columns: device, kind, status, since, minutes
SELECT device, kind, status, since, round(dateDiff('second', since, now64(3)) / 60, 1) AS minutes
FROM published_status
WHERE school = '$school' AND device != ''
ORDER BY status = 'online', device

-- query: school_history
-- shape: table
-- asked: what was last said of the school (no device) and of its devices?
-- columns: device, status, since, decided
SELECT device, status, since, decided
FROM
(
    SELECT '' AS device, status, since, decided FROM published_school_states WHERE school = '$school'
    UNION ALL
    SELECT toString(device) AS device, status, since, decided FROM published_device_transitions WHERE school = '$school'
)
ORDER BY decided DESC, device
LIMIT 50

-- query: school_timeline
-- shape: states
-- asked: when was the school online, and when not?
-- columns: time, state
SELECT greatest(since, $__fromTime_ms) AS time, status AS state
FROM published_school_states
WHERE school = '$school' AND since <= $__toTime_ms AND (until IS NULL OR until >= $__fromTime_ms)
ORDER BY time

-- query: school_device_timeline
-- shape: states
-- asked: when did each device fall silent?
-- columns: time, device, state
SELECT greatest(since, $__fromTime_ms) AS time, device, status AS state
FROM published_device_transitions
WHERE school = '$school' AND since <= $__toTime_ms AND since >= $__fromTime_ms - INTERVAL 1 DAY
ORDER BY time, device

-- query: school_flow
-- shape: series
-- asked: how many came in, went out and were kept out, by 5 minutes?
-- columns: time, came_in, went_out, denied
SELECT
    toStartOfInterval(bucket, INTERVAL 5 MINUTE) AS time,
    sum(came_in) AS came_in, sum(went_out) AS went_out, sum(denied) AS denied
FROM published_flow_5m
WHERE school = '$school' AND $__timeFilter(bucket)
GROUP BY time
ORDER BY time

-- query: school_flow_expected
-- shape: series
-- asked: how many come in at this hour of such a weekday, by the four weeks before?
-- columns: time, expected
SELECT moved AS time, sum(came_in) / 4 AS expected
FROM
(
    SELECT
        toStartOfInterval(bucket, INTERVAL 5 MINUTE) + toIntervalDay(7 * arrayJoin([1, 2, 3, 4])) AS moved,
        came_in
    FROM published_flow_5m
    WHERE school = '$school' AND bucket >= $__fromTime - INTERVAL 28 DAY AND bucket <= $__toTime
)
WHERE $__timeFilter(moved)
GROUP BY time
ORDER BY time

-- query: school_presence
-- shape: series
-- asked: how many are inside, by today's passes?
-- columns: time, inside
SELECT time, sum(change) OVER (PARTITION BY toDate(time, 'Asia/Almaty') ORDER BY time) AS inside
FROM
(
    SELECT
        toStartOfInterval(bucket, INTERVAL 5 MINUTE) AS time,
        toInt64(sum(came_in)) - toInt64(sum(went_out)) AS change
    FROM published_flow_5m
    WHERE school = '$school' AND bucket <= $__toTime
        AND bucket >= toStartOfDay($__fromTime, 'Asia/Almaty')
    GROUP BY time
)
ORDER BY time

-- query: school_flow_by_minute
-- shape: series
-- asked: how does the rush look, minute by minute?
-- columns: time, came_in, went_out
SELECT bucket AS time, sum(came_in) AS came_in, sum(went_out) AS went_out
FROM published_flow_1m
WHERE school = '$school' AND $__timeFilter(bucket)
GROUP BY time
ORDER BY time

-- query: school_attendance
-- shape: bars
-- asked: how many came in on each of the last 30 days?
-- columns: day, came_in
SELECT toString(toDate(bucket, 'Asia/Almaty')) AS day, sum(came_in) AS came_in
FROM published_flow_1h
WHERE school = '$school' AND bucket >= now() - INTERVAL 30 DAY
GROUP BY day
ORDER BY day

-- query: school_beats
-- shape: series
-- asked: how many heartbeats came, by kind of device?
-- columns: time, kind, beats
SELECT toStartOfInterval(bucket, INTERVAL 5 MINUTE) AS time, kind, sum(beats) AS beats
FROM published_heartbeats_5m
WHERE school = '$school' AND $__timeFilter(bucket)
GROUP BY time, kind
ORDER BY time, kind

-- query: school_health
-- shape: series
-- asked: how are the weakest battery and link, and how much waits in the devices?
-- columns: time, min_battery, min_link, max_buffered
SELECT
    toStartOfInterval(bucket, INTERVAL 5 MINUTE) AS time,
    min(h.min_battery) AS min_battery, min(h.min_link) AS min_link, max(h.max_buffered) AS max_buffered
FROM published_heartbeats_5m AS h
WHERE school = '$school' AND $__timeFilter(bucket)
GROUP BY time
ORDER BY time

-- query: school_alerts
-- shape: table
-- asked: which alerts had this school, the newest first?
-- columns: opened, kind, severity, delivered, acknowledged, dispatched, arrived, resolved, outcome, presses, late, drill
SELECT
    opened, kind, last_severity AS severity, delivered, acknowledged, dispatched, arrived, resolved, outcome, presses,
    if(a.late, 'late', '') AS late, if(a.drill, 'drill', '') AS drill
FROM published_alerts AS a
WHERE a.school = '$school'
ORDER BY opened DESC
LIMIT 200

-- query: school_panic_tests
-- shape: table
-- asked: when was each button last tested?
-- columns: device, last_test, days, passed
SELECT
    device, last_test, dateDiff('day', last_test, now64(3)) AS days,
    if(last_passed = last_test, 'yes', 'no') AS passed
FROM published_panic_tests
WHERE school = '$school'
ORDER BY days DESC, device

-- query: school_equipment
-- shape: table
-- asked: what is installed, and until when is the security contract?
-- columns: turnstiles, panic_buttons, gateways, police_link, contract_company, contract_expires, changed
SELECT
    turnstiles, panic_buttons, gateways, if(police_link, 'yes', 'no') AS police_link,
    contract_company, contract_expires, changed
FROM published_equipment
WHERE school = '$school'

-- query: school_inspections
-- shape: table
-- asked: what did inspections find?
-- columns: inspected, findings, violations, dangers, codes
SELECT
    inspected, length(finding_codes) AS findings,
    countEqual(finding_severities, 'violation') AS violations,
    countEqual(finding_severities, 'danger') AS dangers,
    arrayStringConcat(finding_codes, ', ') AS codes
FROM published_inspections
WHERE school = '$school'
ORDER BY inspected DESC
LIMIT 50

-- query: school_region_reports
-- shape: series
-- asked: how many reports came in the school's region by month? A school's own are never published.
-- columns: time, reports
SELECT toDateTime(month, 'Asia/Almaty') AS time, events AS reports
FROM published_incidents
WHERE measure = 'reports' AND dimension = 'region' AND cell = substring('$school', 1, 5)
ORDER BY time
