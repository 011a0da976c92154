-- Silence: who, since when, how often, and how fast we knew. An outage lasts from the last sign of life
-- to the next one; what lies outside of the chosen time is cut off.

-- query: outages_open
-- shape: table
-- asked: which schools are offline now, the longest first?
-- columns: school, name, region, district, provider, pupils, since, minutes
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region, s.district AS district,
    s.provider AS provider, s.pupils AS pupils, n.since AS since,
    round(dateDiff('second', n.since, now64(3)) / 60, 1) AS minutes
FROM published_status AS n
INNER JOIN published_schools AS s ON s.school = n.school
WHERE n.device = '' AND n.status = 'offline'
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
    AND $__conditionalAll(s.provider IN (${provider:singlequote}), $provider)
ORDER BY minutes DESC
LIMIT 1000

-- query: providers_now
-- shape: bars
-- asked: whose schools are offline now?
-- columns: provider, offline, schools
SELECT s.provider AS provider, countIf(n.status = 'offline') AS offline, count() AS schools
FROM published_schools AS s
LEFT JOIN (SELECT school, status FROM published_status WHERE device = '') AS n ON n.school = s.school
GROUP BY provider
ORDER BY offline DESC, provider

-- query: availability
-- shape: numbers
-- asked: which share of the time were the schools online, and how many outages were there?
-- columns: availability, outages, hours_offline
SELECT
    1 - sum(seconds_offline) / (any(schools) * dateDiff('second', $__fromTime, $__toTime)) AS availability,
    sum(outages) AS outages,
    round(sum(seconds_offline) / 3600, 3) AS hours_offline
FROM
(
    SELECT
        sum(dateDiff('millisecond', greatest(since, $__fromTime_ms), least(coalesce(until, $__toTime_ms), $__toTime_ms))) / 1000 AS seconds_offline,
        count() AS outages,
        (SELECT count() FROM published_schools) AS schools
    FROM published_school_states
    WHERE status = 'offline' AND since < $__toTime_ms AND (until IS NULL OR until > $__fromTime_ms)
)

-- query: availability_by_region
-- shape: table
-- asked: which share of the time were the schools of each region online?
-- columns: region, schools, outages, minutes_offline, availability
SELECT
    s.region AS region, count() AS schools, sum(o.outages) AS outages,
    round(sum(o.seconds) / 60, 1) AS minutes_offline,
    1 - sum(o.seconds) / (schools * dateDiff('second', $__fromTime, $__toTime)) AS availability
FROM published_schools AS s
LEFT JOIN
(
    SELECT
        school, count() AS outages,
        sum(dateDiff('millisecond', greatest(since, $__fromTime_ms), least(coalesce(until, $__toTime_ms), $__toTime_ms))) / 1000 AS seconds
    FROM published_school_states
    WHERE status = 'offline' AND since < $__toTime_ms AND (until IS NULL OR until > $__fromTime_ms)
    GROUP BY school
) AS o ON o.school = s.school
GROUP BY region
ORDER BY availability, region

-- query: availability_by_provider
-- shape: bars
-- asked: which share of the time were each provider's schools online?
-- columns: provider, availability
SELECT
    s.provider AS provider,
    1 - sum(o.seconds) / (count() * dateDiff('second', $__fromTime, $__toTime)) AS availability
FROM published_schools AS s
LEFT JOIN
(
    SELECT
        school,
        sum(dateDiff('millisecond', greatest(since, $__fromTime_ms), least(coalesce(until, $__toTime_ms), $__toTime_ms))) / 1000 AS seconds
    FROM published_school_states
    WHERE status = 'offline' AND since < $__toTime_ms AND (until IS NULL OR until > $__fromTime_ms)
    GROUP BY school
) AS o ON o.school = s.school
GROUP BY provider
ORDER BY availability, provider

-- query: below_service_level
-- shape: table
-- asked: which schools were online less than 99.5 percent of the time?
-- columns: school, name, region, provider, outages, minutes_offline, availability
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region, s.provider AS provider,
    o.outages AS outages, round(o.seconds / 60, 1) AS minutes_offline,
    1 - o.seconds / dateDiff('second', $__fromTime, $__toTime) AS availability
FROM
(
    SELECT
        school, count() AS outages,
        sum(dateDiff('millisecond', greatest(since, $__fromTime_ms), least(coalesce(until, $__toTime_ms), $__toTime_ms))) / 1000 AS seconds
    FROM published_school_states
    WHERE status = 'offline' AND since < $__toTime_ms AND (until IS NULL OR until > $__fromTime_ms)
    GROUP BY school
) AS o
INNER JOIN published_schools AS s ON s.school = o.school
WHERE availability < 0.995 AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
    AND $__conditionalAll(s.provider IN (${provider:singlequote}), $provider)
ORDER BY availability, school
LIMIT 1000

-- query: repeat_offenders
-- shape: table
-- asked: which schools fall silent again and again?
-- columns: school, name, provider, outages, minutes_offline, longest_minutes
SELECT
    s.school AS school, s.name_$lang AS name, s.provider AS provider, o.outages AS outages,
    o.minutes_offline AS minutes_offline, o.longest_minutes AS longest_minutes
FROM
(
    SELECT
        school, count() AS outages,
        round(sum(dateDiff('second', since, coalesce(until, now64(3)))) / 60, 1) AS minutes_offline,
        round(max(dateDiff('second', since, coalesce(until, now64(3)))) / 60, 1) AS longest_minutes
    FROM published_school_states
    WHERE status = 'offline' AND $__timeFilter(since)
    GROUP BY school
    HAVING outages >= 2
) AS o
INNER JOIN published_schools AS s ON s.school = o.school
WHERE $__conditionalAll(s.region IN (${region:singlequote}), $region)
    AND $__conditionalAll(s.provider IN (${provider:singlequote}), $provider)
ORDER BY outages DESC, minutes_offline DESC, school
LIMIT 200

-- query: offline_over_time
-- shape: series
-- asked: how many schools were offline at each moment?
-- columns: time, offline
SELECT time, sum(change) OVER (ORDER BY time) AS offline
FROM
(
    SELECT $__timeInterval(moment) AS time, sum(step) AS change
    FROM
    (
        SELECT
            arrayJoin(arrayFilter(edge -> edge.1 <= $__toTime_ms, [(greatest(since, $__fromTime_ms), 1), (coalesce(until, $__toTime_ms + INTERVAL 1 DAY), -1)])) AS edge,
            edge.1 AS moment, edge.2 AS step
        FROM published_school_states
        WHERE status = 'offline' AND since <= $__toTime_ms AND (until IS NULL OR until > $__fromTime_ms)
    )
    GROUP BY time
)
ORDER BY time

-- query: time_to_detect
-- shape: series
-- asked: how long after its last sign of life was a school found silent?
-- columns: time, p50_s, p95_s, worst_s
SELECT
    $__timeInterval(decided) AS time,
    quantileExact(0.5)(dateDiff('millisecond', since, decided) / 1000) AS p50_s,
    quantileExact(0.95)(dateDiff('millisecond', since, decided) / 1000) AS p95_s,
    max(dateDiff('millisecond', since, decided) / 1000) AS worst_s
FROM published_school_states
WHERE status = 'offline' AND $__timeFilter(decided)
GROUP BY time
ORDER BY time

-- query: outage_lengths
-- shape: bars
-- asked: how long do outages last?
-- columns: length, outages
SELECT
    multiIf(minutes < 1, '< 1 min', minutes < 5, '1-5 min', minutes < 30, '5-30 min', minutes < 120, '30 min - 2 h', '> 2 h') AS length,
    count() AS outages
FROM
(
    SELECT dateDiff('second', since, coalesce(until, now64(3))) / 60 AS minutes
    FROM published_school_states
    WHERE status = 'offline' AND $__timeFilter(since)
)
GROUP BY length
ORDER BY min(minutes)

-- query: note_providers
-- shape: annotation
-- asked: when did a provider lose 10 schools and more at once?
-- columns: time, timeEnd, text, tags
SELECT
    min(o.since) AS time,
    max(coalesce(o.until, now64(3))) AS timeEnd,
    concat(s.provider, ': ', toString(uniqExact(o.school)), ' schools offline') AS text,
    concat(s.provider, ',provider') AS tags
FROM published_school_states AS o
INNER JOIN published_schools AS s ON s.school = o.school
WHERE o.status = 'offline' AND $__timeFilter(o.since)
GROUP BY s.provider, toStartOfInterval(o.since, INTERVAL 15 MINUTE)
HAVING uniqExact(o.school) >= 10
ORDER BY time
LIMIT 1000

-- query: outages_found
-- shape: table
-- asked: which outages of many schools with one cause did the stream find, how large were they, and how fast were they named?
-- columns: scope, schools, opened, named, detect_s, resolved, minutes
SELECT
    scope, length(members) AS schools, opened, detected AS named,
    dateDiff('millisecond', opened, detected) / 1000 AS detect_s, resolved,
    round(dateDiff('second', opened, coalesce(resolved, now64(3))) / 60, 1) AS minutes
FROM published_alerts
WHERE kind = 'outage' AND opened <= $__toTime_ms AND (resolved IS NULL OR resolved >= $__fromTime_ms)
ORDER BY resolved IS NULL DESC, opened DESC
LIMIT 500

-- query: outage_members
-- shape: table
-- asked: which schools belong to the outages that are open, and which of them are still silent?
-- columns: scope, school, name, provider, region, district, status, minutes
SELECT
    o.scope AS scope, o.member AS school, s.name_$lang AS name, s.provider AS provider, s.region AS region,
    s.district AS district, n.status AS status,
    if(n.school = '', 0, round(dateDiff('second', n.since, now64(3)) / 60, 1)) AS minutes
FROM
(
    SELECT scope, arrayJoin(members) AS member
    FROM published_alerts
    WHERE kind = 'outage' AND resolved IS NULL
) AS o
LEFT JOIN published_schools AS s ON s.school = o.member
LEFT JOIN (SELECT school, status, since FROM published_status WHERE device = '') AS n ON n.school = o.member
ORDER BY n.status != 'offline', scope, minutes DESC, school
LIMIT 2000

-- query: outage_detect
-- shape: series
-- asked: how long after the first school fell silent was an outage named?
-- columns: time, p50_s, worst_s
SELECT
    $__timeInterval(opened) AS time,
    quantileExact(0.5)(dateDiff('millisecond', opened, detected) / 1000) AS p50_s,
    max(dateDiff('millisecond', opened, detected) / 1000) AS worst_s
FROM published_alerts
WHERE kind = 'outage' AND detected IS NOT NULL AND $__timeFilter(opened)
GROUP BY time
ORDER BY time

-- query: note_outages_found
-- shape: annotation
-- asked: when did the stream say that many schools are out for one cause?
-- columns: time, timeEnd, text, tags
SELECT
    opened AS time,
    coalesce(resolved, now64(3)) AS timeEnd,
    concat(scope, ': ', toString(length(members)), ' schools') AS text,
    'outage' AS tags
FROM published_alerts
WHERE kind = 'outage' AND $__timeFilter(opened)
ORDER BY time
LIMIT 1000
