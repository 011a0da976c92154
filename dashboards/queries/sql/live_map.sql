-- The map of now. Levels: 0 online, 1 not known or under maintenance, 2 degraded, late or flapping, 3 offline,
-- 4 panic. A declared drill is an open alert, and no panic on the map.

-- query: map_schools
-- shape: map
-- asked: where is every chosen school, and how is it now?
-- columns: school, name, region, district, latitude, longitude, pupils, status, level, minutes
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region, s.district AS district,
    s.latitude AS latitude, s.longitude AS longitude, s.pupils AS pupils,
    if(p.school != '', 'panic', if(n.status = '', 'unknown', n.status)) AS status,
    transform(status, ['online', 'degraded', 'late', 'flapping', 'offline', 'panic'], [0, 2, 2, 2, 3, 4], 1) AS level,
    if(n.school = '', 0, round(dateDiff('second', n.since, now64(3)) / 60, 1)) AS minutes
FROM published_schools AS s
LEFT JOIN (SELECT school, status, since FROM published_status WHERE device = '') AS n ON n.school = s.school
LEFT JOIN (SELECT DISTINCT school FROM published_alerts WHERE kind = 'panic' AND NOT drill AND resolved IS NULL) AS p ON p.school = s.school
WHERE $__conditionalAll(s.region IN (${region:singlequote}), $region)
    AND $__conditionalAll(s.district IN (${district:singlequote}), $district)
ORDER BY level, school

-- query: map_offline
-- shape: map
-- asked: which schools are offline? Drawn above all others, so that no cluster hides one.
-- columns: school, name, region, latitude, longitude, level, minutes
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region,
    s.latitude AS latitude, s.longitude AS longitude, 3 AS level,
    round(dateDiff('second', n.since, now64(3)) / 60, 1) AS minutes
FROM published_status AS n
INNER JOIN published_schools AS s ON s.school = n.school
WHERE n.device = '' AND n.status = 'offline'
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
    AND $__conditionalAll(s.district IN (${district:singlequote}), $district)
ORDER BY minutes DESC

-- query: map_panics
-- shape: map
-- asked: where is a panic open? Never filtered away by the choices above the map.
-- columns: school, name, region, latitude, longitude, level, minutes, acknowledged
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region,
    s.latitude AS latitude, s.longitude AS longitude, 4 AS level,
    round(dateDiff('second', a.waiting, now64(3)) / 60, 1) AS minutes,
    if(a.acknowledged IS NULL, 'no', 'yes') AS acknowledged
FROM published_alerts AS a
INNER JOIN published_schools AS s ON s.school = a.school
WHERE a.kind = 'panic' AND NOT a.drill AND a.resolved IS NULL
ORDER BY a.opened

-- query: counters
-- shape: numbers
-- asked: how many schools are online, degraded, offline, under maintenance and not known, and how many panics, drills and outages are open?
-- columns: schools, online, degraded, offline, maintenance, unknown, open_panics, open_drills, open_outages
WITH
    (
        SELECT (countIf(kind = 'panic' AND NOT drill), countIf(kind = 'panic' AND drill), countIf(kind = 'outage'))
        FROM published_alerts
        WHERE resolved IS NULL AND kind IN ('panic', 'outage')
    ) AS open
SELECT
    count() AS schools,
    countIf(n.status = 'online') AS online,
    countIf(n.status IN ('degraded', 'late', 'flapping')) AS degraded,
    countIf(n.status = 'offline') AS offline,
    countIf(n.status = 'maintenance') AS maintenance,
    countIf(n.status IN ('', 'unknown', 'retired')) AS unknown,
    open.1 AS open_panics, open.2 AS open_drills, open.3 AS open_outages
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school

-- query: regions_now
-- shape: table
-- asked: how is each region now, the worst first?
-- columns: region, schools, pupils, online, degraded, offline, offline_share
SELECT
    s.region AS region, count() AS schools, sum(s.pupils) AS pupils,
    countIf(n.status = 'online') AS online,
    countIf(n.status IN ('degraded', 'late', 'flapping')) AS degraded,
    countIf(n.status = 'offline') AS offline,
    round(offline / schools, 4) AS offline_share
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school
GROUP BY region
ORDER BY offline_share DESC, region

-- query: districts_now
-- shape: table
-- asked: how is each district of the chosen regions now, the worst first?
-- columns: region, district, schools, online, degraded, offline, offline_share
SELECT
    s.region AS region, s.district AS district, count() AS schools,
    countIf(n.status = 'online') AS online,
    countIf(n.status IN ('degraded', 'late', 'flapping')) AS degraded,
    countIf(n.status = 'offline') AS offline,
    round(offline / schools, 4) AS offline_share
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school
WHERE $__conditionalAll(s.region IN (${region:singlequote}), $region)
GROUP BY region, district
ORDER BY offline_share DESC, region, district

-- query: open_alerts
-- shape: table
-- asked: which alerts are open, the gravest and oldest first? An outage has schools instead of one school.
-- columns: severity, kind, school, name, region, scope, schools, opened, acknowledged, presses, drill, minutes
SELECT
    a.last_severity AS severity, a.kind AS kind, a.school AS school,
    s.name_$lang AS name, s.region AS region, a.scope AS scope, length(a.members) AS schools,
    a.opened AS opened, a.acknowledged AS acknowledged, a.presses AS presses, if(a.drill, 'drill', '') AS drill,
    round(dateDiff('second', a.waiting, now64(3)) / 60, 1) AS minutes
FROM published_alerts AS a
LEFT JOIN published_schools AS s ON s.school = a.school
WHERE a.resolved IS NULL
ORDER BY a.drill, indexOf(['panic', 'critical', 'warning', 'info'], severity), a.waiting
LIMIT 500

-- query: passes_now
-- shape: numbers
-- asked: how many passed in the last whole minute, and how many were kept out in five minutes?
-- columns: passes_last_minute, denied_5m
SELECT
    sumIf(came_in + went_out, bucket = toStartOfMinute(now()) - INTERVAL 1 MINUTE) AS passes_last_minute,
    sum(denied) AS denied_5m
FROM published_region_flow
WHERE bucket >= toStartOfMinute(now()) - INTERVAL 5 MINUTE
    AND $__conditionalAll(region IN (${region:singlequote}), $region)

-- query: rush
-- shape: series
-- asked: how many come in and go out, minute by minute, in the chosen regions?
-- columns: time, came_in, went_out, denied
SELECT
    $__timeInterval(bucket) AS time,
    sum(came_in) AS came_in, sum(went_out) AS went_out, sum(denied) AS denied
FROM published_region_flow
WHERE $__timeFilter(bucket)
    AND $__conditionalAll(region IN (${region:singlequote}), $region)
GROUP BY time
ORDER BY time

-- query: inside_now
-- shape: numbers
-- asked: how many are inside the schools now, by today's passes?
-- columns: inside
SELECT toInt64(sum(came_in)) - toInt64(sum(went_out)) AS inside
FROM published_region_flow
WHERE bucket >= toStartOfDay(now('Asia/Almaty'))
    AND $__conditionalAll(region IN (${region:singlequote}), $region)

-- query: note_outages
-- shape: annotation
-- asked: when was a district cut off (5 schools and more at once)?
-- columns: time, timeEnd, text, tags
SELECT
    min(o.since) AS time,
    max(coalesce(o.until, now64(3))) AS timeEnd,
    concat(s.district, ': ', toString(uniqExact(o.school)), ' schools offline') AS text,
    concat(s.region, ',outage') AS tags
FROM published_school_states AS o
INNER JOIN published_schools AS s ON s.school = o.school
WHERE o.status = 'offline' AND $__timeFilter(o.since)
GROUP BY s.region, s.district, toStartOfInterval(o.since, INTERVAL 15 MINUTE)
HAVING uniqExact(o.school) >= 5
ORDER BY time
LIMIT 1000

-- query: note_panics
-- shape: annotation
-- asked: when and where was a panic button pressed?
-- columns: time, timeEnd, text, tags
SELECT
    opened AS time,
    coalesce(resolved, now64(3)) AS timeEnd,
    concat('panic at ', school) AS text,
    concat(substring(school, 1, 5), ',panic') AS tags
FROM published_alerts
WHERE kind = 'panic' AND NOT drill AND $__timeFilter(opened)
ORDER BY time
LIMIT 1000
