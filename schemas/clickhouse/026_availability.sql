-- How long each device, and each school as a whole (device = ''), was there on each local day of a
-- span: SELECT … FROM availability_days(first = '2026-11-01', last = '2026-11-30'). Each status lasts
-- until the next one begins; offline begins with the last sign of life. Flapping counts as silent, as
-- nobody can rely on it; planned work and what was never heard count for nobody.

CREATE VIEW IF NOT EXISTS availability_days AS
SELECT
    day, school, device, anyLast(kind) AS kind,
    sumIf(lasted_ms, status IN ('online', 'late', 'degraded')) AS up_ms,
    sumIf(lasted_ms, status IN ('offline', 'flapping')) AS down_ms,
    sumIf(lasted_ms, status = 'maintenance') AS planned_ms,
    countIf(status = 'offline' AND begins_here) AS outages
FROM
(
    SELECT
        day, school, device, kind, status,
        toUnixTimestamp64Milli(toDateTime64(toDateTime(day, 'Asia/Almaty'), 3, 'UTC')) AS day_ms,
        toUnixTimestamp64Milli(toDateTime64(toDateTime(day + 1, 'Asia/Almaty'), 3, 'UTC')) AS next_ms,
        begins_ms >= day_ms AND begins_ms < next_ms AS begins_here,
        least(until_ms, next_ms, toUnixTimestamp64Milli(now64(3, 'UTC')))
            - greatest(begins_ms, day_ms) AS lasted_ms
    FROM
    (
        SELECT
            school, device, kind, status,
            toUnixTimestamp64Milli(since) AS begins_ms,
            toUnixTimestamp64Milli(
                leadInFrame(since, 1, toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) OVER (
                    PARTITION BY school, device ORDER BY since, decided
                    ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
                )
            ) AS until_ms,
            arrayJoin(
                arrayMap(n -> {first:Date} + n, range(toUInt32({last:Date} - {first:Date} + 1)))
            ) AS day
        FROM
        (
            SELECT DISTINCT school, device, kind, status, since, decided
            FROM status_history
            WHERE since >= toDateTime({first:Date}, 'Asia/Almaty')
                AND since < toDateTime({last:Date} + 1, 'Asia/Almaty')
            UNION ALL
            SELECT
                school, device,
                argMax(kind, (since, decided)),
                argMax(status, (since, decided)),
                max(since),
                argMax(decided, (since, decided))
            FROM status_history
            WHERE since < toDateTime({first:Date}, 'Asia/Almaty')
            GROUP BY school, device
        )
    )
    WHERE lasted_ms > 0
)
GROUP BY day, school, device;
