-- Counts of children's reports, of crimes by and against minors and of calls for help, published so
-- that a count below 5 can't be recovered (statistical disclosure control by cell suppression).
--
-- What is published of a measure in a month: its total, and that total split in one way at a time (by
-- region, or by category, or by channel, or by involvement and severity, or by who runs a program).
-- Two splits are never crossed, so the splits of one month share nothing but the total. In each split:
--   1. a cell of 0 to 4 is hidden (NULL);
--   2. while fewer than two cells or fewer than 10 events are hidden, another one is hidden, in an
--      order that does not depend on the counts (else the choice itself would tell);
--   3. a total below 10 is hidden, with all of its splits.
-- So the hidden cells of a split are at least two and add up to at least 10, and any of them may still
-- be any of 0 to 4.
-- Only months that ended more than 5 days ago are published: a running month, read daily, would tell
-- each single event as a difference. Schools are split by program as the registry stood when the month
-- ended, so that a school that joins later moves no past counts.
CREATE VIEW IF NOT EXISTS published_incidents DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
WITH
    ['kiva', 'dosbollike', 'probilim'] AS every_program,
    months AS
    (
        SELECT toStartOfMonth(now('Asia/Almaty') - INTERVAL 5 DAY) - toIntervalMonth(number + 1) AS month
        FROM numbers(36)
    ),
    monthly AS
    (
        SELECT
            toStartOfMonth(bucket, 'Asia/Almaty') AS month, school,
            transform(toString(type), ['incident.reported', 'incident.registered'], ['reports', 'crimes'], 'help') AS measure,
            category, channel, involvement, severity, sum(events) AS n,
            toDateTime64(toDateTime(addMonths(month, 1), 'Asia/Almaty'), 3, 'UTC') AS ended
        FROM incidents_1h
        WHERE bucket >= toDateTime(addMonths(toStartOfMonth(now('Asia/Almaty')), -37), 'Asia/Almaty')
        GROUP BY month, school, measure, category, channel, involvement, severity
    ),
    few AS
    (
        SELECT
            month, measure, substring(school, 1, 5) AS region, category, channel, involvement, severity,
            arrayLast(record -> record.1 <= ended, history).2 AS running, sum(n) AS n
        FROM monthly
        LEFT JOIN
        (
            SELECT
                school,
                arraySort(groupArray((kafka_time, arrayMap(program -> has(programs, program), every_program)))) AS history
            FROM registry
            GROUP BY school
        ) AS known ON monthly.school = known.school
        GROUP BY month, measure, region, category, channel, involvement, severity, running
    ),
    counted AS
    (
        SELECT month, measure, part.1 AS dimension, part.2 AS cell, sum(n) AS n
        FROM
        (
            SELECT
                month, measure, n,
                arrayJoin(arrayConcat(
                    [('all', 'all'), ('region', toString(region))],
                    if(measure = 'reports', [('category', toString(category)), ('channel', toString(channel))], []),
                    if(measure = 'crimes', [('kind', concat(involvement, ' ', severity))], []),
                    if(measure = 'reports', arrayMap(i -> (every_program[i], if(running[i], 'with', 'without')), [1, 2, 3]), [])
                )) AS part
            FROM few
        )
        GROUP BY month, measure, dimension, cell
    ),
    cells AS
    (
        SELECT measure, dimension, cell
        FROM
        (
            SELECT 'all' AS dimension, 'all' AS cell, arrayJoin(['reports', 'crimes', 'help']) AS measure
            UNION ALL
            SELECT 'region', concat('KZ-', arrayJoin(['10', '11', '15', '19', '23', '27', '31', '33', '35', '39', '43', '47', '55', '59', '61', '62', '63', '71', '75', '79'])), arrayJoin(['reports', 'crimes', 'help'])
            UNION ALL
            SELECT 'category', arrayJoin(['bullying', 'violence', 'harassment', 'weapon', 'self_harm', 'intruder', 'cyber', 'other']), 'reports'
            UNION ALL
            SELECT 'channel', arrayJoin(['qr', 'phone', 'staff']), 'reports'
            UNION ALL
            SELECT 'kind', concat(arrayJoin(['by_minor', 'against_minor']), ' ', arrayJoin(['minor', 'medium', 'serious', 'particularly_serious'])), 'crimes'
            UNION ALL
            SELECT arrayJoin(['kiva', 'dosbollike', 'probilim']), arrayJoin(['with', 'without']), 'reports'
        )
    ),
    complete AS
    (
        SELECT
            months.month AS month, cells.measure AS measure, cells.dimension AS dimension,
            cells.cell AS cell, coalesce(counted.n, 0) AS n
        FROM months
        CROSS JOIN cells
        LEFT JOIN counted
            ON counted.month = months.month AND counted.measure = cells.measure
            AND counted.dimension = cells.dimension AND counted.cell = cells.cell
    ),
    ordered AS
    (
        SELECT
            month, measure, dimension, cell, n,
            n < 5 AS small,
            sum(n) OVER (PARTITION BY month, measure, dimension) AS total,
            max(n < 5) OVER (PARTITION BY month, measure, dimension) AS any_small,
            row_number() OVER (PARTITION BY month, measure, dimension ORDER BY n < 5 DESC, cityHash64(month, cell)) AS place,
            sum(n) OVER (
                PARTITION BY month, measure, dimension ORDER BY n < 5 DESC, cityHash64(month, cell)
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) - n AS before
        FROM complete
    )
SELECT
    month, measure, dimension, cell,
    if(small OR total < 10 OR (any_small AND (place <= 2 OR before < 10)), NULL, n) AS events
FROM ordered;
