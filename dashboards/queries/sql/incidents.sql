-- Incidents and child protection, from published_incidents alone: closed months, small counts hidden
-- (NULL) together with what would give them away. A gap in a line is a hidden count, not a zero.

-- query: reports_by_category
-- shape: series
-- asked: how many reports by category, month by month?
-- columns: time, category, reports
SELECT toDateTime(month, 'Asia/Almaty') AS time, cell AS category, events AS reports
FROM published_incidents
WHERE measure = 'reports' AND dimension = 'category' AND $__timeFilter(month)
ORDER BY time, category

-- query: reports_by_channel
-- shape: series
-- asked: how many reports by channel?
-- columns: time, channel, reports
SELECT toDateTime(month, 'Asia/Almaty') AS time, cell AS channel, events AS reports
FROM published_incidents
WHERE measure = 'reports' AND dimension = 'channel' AND $__timeFilter(month)
ORDER BY time, channel

-- query: reports_by_region
-- shape: table
-- asked: how many reports in each region in the last closed month, against the year before?
-- columns: region, pupils, reports, year_before, change, per_1000_pupils
SELECT
    i.cell AS region, s.pupils AS pupils, i.now_events AS reports, i.then_events AS year_before,
    round((reports - year_before) / year_before, 3) AS change,
    round(1000 * reports / s.pupils, 3) AS per_1000_pupils
FROM
(
    SELECT
        cell,
        anyIf(events, month = newest) AS now_events,
        anyIf(events, month = addYears(newest, -1)) AS then_events
    FROM (SELECT *, max(month) OVER () AS newest FROM published_incidents WHERE measure = 'reports' AND dimension = 'region')
    GROUP BY cell
) AS i
INNER JOIN (SELECT region, sum(pupils) AS pupils FROM published_schools GROUP BY region) AS s ON s.region = i.cell
ORDER BY reports DESC NULLS LAST, region

-- query: crimes_by_kind
-- shape: series
-- asked: how many crimes by and against minors, by severity?
-- columns: time, kind, crimes
SELECT toDateTime(month, 'Asia/Almaty') AS time, cell AS kind, events AS crimes
FROM published_incidents
WHERE measure = 'crimes' AND dimension = 'kind' AND $__timeFilter(month)
ORDER BY time, kind

-- query: crimes_by_region
-- shape: series
-- asked: how many crimes by region?
-- columns: time, region, crimes
SELECT toDateTime(month, 'Asia/Almaty') AS time, cell AS region, events AS crimes
FROM published_incidents
WHERE measure = 'crimes' AND dimension = 'region' AND $__timeFilter(month)
    AND $__conditionalAll(cell IN (${region:singlequote}), $region)
ORDER BY time, region

-- query: month_against_year_before
-- shape: table
-- asked: how does each month compare with the same month a year before?
-- columns: month, reports, reports_year_before, crimes, crimes_year_before, help
SELECT
    toString(shown) AS month,
    anyIf(events, measure = 'reports' AND years = 0) AS reports,
    anyIf(events, measure = 'reports' AND years = 1) AS reports_year_before,
    anyIf(events, measure = 'crimes' AND years = 0) AS crimes,
    anyIf(events, measure = 'crimes' AND years = 1) AS crimes_year_before,
    anyIf(events, measure = 'help' AND years = 0) AS help
FROM
(
    SELECT measure, events, max(i.month) OVER () AS newest, arrayJoin([0, 1]) AS years, addYears(i.month, years) AS shown
    FROM published_incidents AS i
    WHERE dimension = 'all'
)
WHERE shown <= newest
GROUP BY shown
ORDER BY shown DESC
LIMIT 12

-- query: year_against_year_before
-- shape: table
-- asked: how do the last twelve closed months compare with the twelve before? Of published counts only.
-- columns: measure, last_12_months, the_12_before, change
SELECT
    measure,
    sumIf(events, month > addMonths(newest, -12)) AS last_12_months,
    sumIf(events, month <= addMonths(newest, -12) AND month > addMonths(newest, -24)) AS the_12_before,
    if(the_12_before = 0, NULL, round((last_12_months - the_12_before) / the_12_before, 3)) AS change
FROM (SELECT *, max(month) OVER () AS newest FROM published_incidents WHERE dimension = 'all')
GROUP BY measure
ORDER BY measure

-- query: programs_trend
-- shape: series
-- asked: reports per 1,000 pupils in the schools that run a program and in those that don't
-- columns: time, schools, reports_per_1000_pupils
SELECT
    toDateTime(i.month, 'Asia/Almaty') AS time,
    concat(i.dimension, ' ', i.cell) AS schools,
    1000 * i.events / p.pupils AS reports_per_1000_pupils
FROM published_incidents AS i
INNER JOIN
(
    SELECT program, if(runs, 'with', 'without') AS cell, sum(pupils) AS pupils
    FROM
    (
        SELECT arrayJoin(['kiva', 'dosbollike', 'probilim']) AS program, has(programs, program) AS runs, pupils
        FROM published_schools
    )
    GROUP BY program, cell
) AS p ON p.program = i.dimension AND p.cell = i.cell
WHERE i.measure = 'reports' AND $__timeFilter(i.month)
ORDER BY time, schools

-- query: programs_coverage
-- shape: bars
-- asked: how many schools and pupils does each program reach?
-- columns: program, schools, pupils
SELECT arrayJoin(programs) AS program, count() AS schools, sum(pupils) AS pupils
FROM published_schools
GROUP BY program
ORDER BY program

-- query: help_requests
-- shape: series
-- asked: how many calls for help through QR codes?
-- columns: time, help
SELECT toDateTime(month, 'Asia/Almaty') AS time, events AS help
FROM published_incidents
WHERE measure = 'help' AND dimension = 'all' AND $__timeFilter(month)
ORDER BY time

-- query: hidden_share
-- shape: numbers
-- asked: which share of the counts of the shown months is hidden?
-- columns: hidden, counts, share
SELECT countIf(events IS NULL) AS hidden, count() AS counts, hidden / greatest(counts, 1) AS share
FROM published_incidents
WHERE $__timeFilter(month)
