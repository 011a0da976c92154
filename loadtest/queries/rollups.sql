-- Thirty days of the whole country, made by the engine itself (loadtest/queries/rollups.py). Rollups at full
-- size, devices as transitions, raw passes as a sample only: no dashboard reads those. {schools} is the
-- only parameter; registry and equipment are there already.

-- step: inspections
INSERT INTO facilities (kafka_time, school, time, type, finding_codes, finding_severities, finding_texts)
SELECT
    now64(3), school, now64(3) - toIntervalDay(rand() % 90), 'inspection.completed',
    ['doors', 'cameras', 'fence'], ['danger', 'violation', 'remark'], ['', '', '']
FROM schools FINAL;

-- step: flow_1m, 7 days of 240 busy minutes
INSERT INTO flow_1m
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    ids[intDiv(number, 7 * 240) + 1] AS school,
    toDateTime(toStartOfDay(now('UTC'))) - 6 * 86400 + 7200
        + intDiv(number, 240) % 7 * 86400 + number % 240 * 60 AS bucket,
    rand(1) % 40 AS came_in, rand(2) % 12 AS went_out, rand(3) % 50 = 0 AS denied
FROM numbers({schools} * 7 * 240)
WHERE toDayOfWeek(bucket) <= 5 AND bucket <= now();

-- step: flow_5m, 30 days of 110 busy buckets
INSERT INTO flow_5m
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    ids[intDiv(number, 30 * 110) + 1] AS school,
    toDateTime(toStartOfDay(now('UTC'))) - 29 * 86400 + 7200
        + intDiv(number, 110) % 30 * 86400 + number % 110 * 300 AS bucket,
    rand(1) % 40 AS came_in, rand(2) % 12 AS went_out, rand(3) % 50 = 0 AS denied
FROM numbers({schools} * 30 * 110)
WHERE toDayOfWeek(bucket) <= 5 AND bucket <= now();

-- step: flow_1h, 30 days of 11 hours
INSERT INTO flow_1h
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    ids[intDiv(number, 30 * 11) + 1] AS school,
    toDateTime(toStartOfDay(now('UTC'))) - 29 * 86400 + 7200
        + intDiv(number, 11) % 30 * 86400 + number % 11 * 3600 AS bucket,
    rand(1) % 400 AS came_in, rand(2) % 120 AS went_out, rand(3) % 5 = 0 AS denied
FROM numbers({schools} * 30 * 11)
WHERE toDayOfWeek(bucket) <= 5 AND bucket <= now();

-- step: region_flow_1m
INSERT INTO region_flow_1m
SELECT
    region, toDateTime(toStartOfDay(now('UTC'))) - 29 * 86400 + number * 60 AS bucket,
    rand(1) % 9000 AS came_in, rand(2) % 9000 AS went_out, rand(3) % 50 AS denied
FROM (SELECT DISTINCT toString(region) AS region FROM schools FINAL) AS regions
CROSS JOIN numbers(30 * 1440) AS minutes
WHERE bucket <= now();

-- step: heartbeats_1m, 7 days of 4 kinds
INSERT INTO heartbeats_1m
WITH
    (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids,
    ['gateway', 'panic_button', 'police_link', 'turnstile'] AS kinds
SELECT
    ids[intDiv(number, 4 * 10080) + 1] AS school, kinds[intDiv(number, 10080) % 4 + 1] AS kind,
    toStartOfMinute(now('UTC')) - 604800 + number % 10080 * 60 AS bucket, 4 AS beats,
    if(kind = 'panic_button', toUInt8(90 - intDiv(number, 997) % 50), NULL) AS min_battery,
    80 + intDiv(number, 7) % 20 AS min_link, intDiv(number, 101) % 3 AS max_buffered,
    intDiv(number, 3) % 40 AS max_skew_ms
FROM numbers({schools} * 4 * 10080);

-- step: heartbeats_5m, 30 days of 4 kinds
INSERT INTO heartbeats_5m
WITH
    (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids,
    ['gateway', 'panic_button', 'police_link', 'turnstile'] AS kinds
SELECT
    ids[intDiv(number, 4 * 8640) + 1] AS school, kinds[intDiv(number, 8640) % 4 + 1] AS kind,
    toStartOfFiveMinutes(now('UTC')) - 2592000 + number % 8640 * 300 AS bucket, 20 AS beats,
    if(kind = 'panic_button', toUInt8(90 - intDiv(number, 997) % 50), NULL) AS min_battery,
    80 + intDiv(number, 7) % 20 AS min_link, intDiv(number, 101) % 3 AS max_buffered,
    intDiv(number, 3) % 40 AS max_skew_ms
FROM numbers({schools} * 4 * 8640);

-- step: heartbeats_1h, 30 days of 4 kinds
INSERT INTO heartbeats_1h
WITH
    (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids,
    ['gateway', 'panic_button', 'police_link', 'turnstile'] AS kinds
SELECT
    ids[intDiv(number, 4 * 720) + 1] AS school, kinds[intDiv(number, 720) % 4 + 1] AS kind,
    toStartOfHour(now('UTC')) - 2592000 + number % 720 * 3600 AS bucket, 240 AS beats,
    if(kind = 'panic_button', toUInt8(90 - intDiv(number, 997) % 50), NULL) AS min_battery,
    80 + intDiv(number, 7) % 20 AS min_link, intDiv(number, 101) % 3 AS max_buffered,
    intDiv(number, 3) % 40 AS max_skew_ms
FROM numbers({schools} * 4 * 720);

-- step: device transitions, ten silences of a quarter of an hour for each
INSERT INTO status_history
SELECT
    0, 1000000 + rowNumberInAllBlocks(), at, school, expected.1 AS device, expected.2 AS kind,
    if(k % 2 = 1, 'offline', 'online') AS status, 'unknown', at, at + INTERVAL 66 SECOND
FROM (SELECT school, arrayJoin(arrayZip(devices, device_kinds)) AS expected FROM schools FINAL) AS known
CROSS JOIN
(
    SELECT
        number AS k,
        toDateTime64(toStartOfDay(now('UTC')) - INTERVAL 29 DAY, 3, 'UTC')
            + toIntervalSecond(intDiv(k + 1, 2) * 250000 + if(k % 2 = 0, 900, 0)) AS at
    FROM numbers(21)
) AS steps
WHERE at <= now64(3)
ORDER BY at;

-- step: school transitions, four silences each, one school of 130 silent now
INSERT INTO status_history
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    0, 100000000 + number, since, ids[i + 1] AS school, '', '', status, 'unknown', since,
    since + INTERVAL 66 SECOND
FROM
(
    SELECT
        number, number % 10 AS k, intDiv(number, 10) AS i, intDiv(k + 1, 2) AS outage,
        toDateTime64(toStartOfDay(now('UTC')) - INTERVAL 29 DAY, 3, 'UTC') AS origin,
        multiIf(
            k = 0, origin,
            k = 9, now64(3, 'UTC') - toIntervalSecond(600 + i % 900),
            origin + toIntervalSecond(
                (outage - 1) * 604800 + cityHash64(i, outage) % 500000
                + if(k % 2 = 0, 120 + cityHash64(i, outage, 1) % 2400, 0)
            )
        ) AS since,
        if(k % 2 = 1, 'offline', 'online') AS status
    FROM numbers({schools} * 10)
)
WHERE k != 9 OR i % 130 = 0;

-- step: alerts, 160 panics a day, one of eight a drill, and the silences
INSERT INTO alert_transitions (kafka_partition, kafka_offset, kafka_time, id, number, kind, severity, action, school, device, time, decided, count, drill)
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    0, number, at, concat(kind, toString(i)), k, kind, if(kind = 'panic', 'panic', 'critical'),
    if(k = 0, 'opened', 'resolved'), ids[cityHash64(i, kind) % {schools} + 1], 'button-1', opened, at, 1,
    kind = 'panic' AND i % 8 = 0
FROM
(
    SELECT
        number, number % 2 AS k, intDiv(number, 2) AS i,
        if(i < 4800, 'panic', 'school_offline') AS kind,
        now64(3, 'UTC') - toIntervalSecond(if(kind = 'panic', (4800 - i) * 540, cityHash64(i) % 2500000)) AS opened,
        opened + toIntervalMillisecond(if(k = 0, 120, 900000)) AS at
    FROM numbers(2 * (4800 + {schools} * 4))
)
WHERE at <= now64(3) AND NOT (kind = 'panic' AND k > 0);

-- step: steps of the panics, and pages of the silences
INSERT INTO alert_steps (kafka_partition, kafka_offset, kafka_time, id, alert, school, took, actor, time, target, outcome)
WITH
    (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids,
    ['sent', 'delivered', 'acknowledged', 'dispatched', 'arrived', 'closed'] AS steps,
    [250, 1200, 9000, 60000, 420000, 900000] AS after_ms
SELECT
    0, number, at, concat('step', toString(number)), concat(kind, toString(i)), ids[cityHash64(i, kind) % {schools} + 1] AS school,
    if(kind = 'panic', steps[k + 1], 'notified'), 'somebody', at, if(k < 2, concat(substring(school, 1, 5), '-ocs'), ''),
    if(k = 5, ['real', 'false', 'false', 'drill'][i % 4 + 1], '')
FROM
(
    SELECT
        number, number % 6 AS k, intDiv(number, 6) AS i,
        if(i < 4800, 'panic', 'school_offline') AS kind,
        now64(3, 'UTC') - toIntervalSecond(if(kind = 'panic', (4800 - i) * 540, cityHash64(i) % 2500000)) AS opened,
        opened + toIntervalMillisecond(after_ms[k + 1] + cityHash64(i, k) % (1 + after_ms[k + 1])) AS at
    FROM numbers(6 * (4800 + {schools} * 4))
)
WHERE at <= now64(3) AND (kind = 'panic' OR k < 2) AND NOT (kind = 'panic' AND i >= 4780 AND k > 1);

-- step: outages, two a day of up to a thousand schools, the last one open
INSERT INTO alert_transitions (kafka_partition, kafka_offset, kafka_time, id, number, kind, severity, action, school, time, decided, count, scope, members)
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    0, number, at, concat('outage', toString(i)), k, 'outage', 'critical', ['opened', 'updated', 'resolved'][k + 1], '',
    opened, at, 1, concat('provider:', toString(i % 5)),
    if(k = 2, [], arraySlice(ids, 1 + cityHash64(i) % {schools}, if(k = 0, 10, 20 + cityHash64(i, 1) % 1000)))
FROM
(
    SELECT
        number, number % 3 AS k, intDiv(number, 3) AS i,
        now64(3, 'UTC') - toIntervalSecond((60 - i) * 43000 - 42400) AS opened,
        opened + toIntervalSecond([86, 101, 2400][k + 1]) AS at
    FROM numbers(180)
)
WHERE at <= now64(3);

-- step: panics, a weekly test of every button and some presses
INSERT INTO panics (kafka_partition, kafka_offset, kafka_time, school, device, time, type, passed)
SELECT
    0, 0, at, school, expected.1, at, if(week = 4, 'panic.pressed', 'panic.test'),
    cityHash64(school, week) % 50 != 0
FROM
(
    SELECT
        school, expected, week,
        toDateTime64(toStartOfDay(now('UTC')) - INTERVAL 29 DAY, 3, 'UTC')
            + toIntervalSecond(least(week, 3) * 604800 + cityHash64(school, expected.1, week) % 604800) AS at
    FROM (SELECT school, arrayJoin(arrayZip(devices, device_kinds)) AS expected FROM schools FINAL) AS known
    CROSS JOIN (SELECT number AS week FROM numbers(5)) AS weeks
)
WHERE expected.2 = 'panic_button' AND at <= now64(3)
    AND (week < 4 OR cityHash64(school, expected.1) % 8 = 0);

-- step: incidents, 15,000 a month of the whole country for 26 months, all arriving today
INSERT INTO incidents (kafka_partition, kafka_offset, kafka_time, school, time, type, channel, category, involvement, severity, topic)
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    0, number, now64(3), ids[cityHash64(number) % {schools} + 1],
    now64(3, 'UTC') - toIntervalSecond(cityHash64(number, 1) % 67392000),
    multiIf(number % 10 < 7, 'incident.reported', number % 10 < 9, 'incident.registered', 'help.requested') AS type,
    if(type = 'incident.reported', ['qr', 'qr', 'phone', 'staff'][cityHash64(number, 2) % 4 + 1], ''),
    if(type = 'help.requested', '', ['bullying', 'violence', 'harassment', 'weapon', 'self_harm', 'intruder', 'cyber', 'other'][cityHash64(number, 3) % 8 + 1]),
    if(type = 'incident.registered', ['by_minor', 'against_minor'][cityHash64(number, 4) % 2 + 1], ''),
    if(type = 'incident.registered', ['minor', 'minor', 'medium', 'serious', 'particularly_serious'][cityHash64(number, 5) % 5 + 1], ''),
    if(type = 'help.requested', 'medical', '')
FROM numbers(intDiv({schools} * 390000, 8000))
SETTINGS max_partitions_per_insert_block = 0;

-- step: dead letters, 2,000 a day
INSERT INTO dead_letters (topic, kafka_partition, kafka_offset, kafka_time, reason, path, detail, sha256, size_bytes)
SELECT
    ['saqshy.passes', 'saqshy.heartbeats', 'saqshy.panics'][number % 3 + 1], 0, number,
    toDateTime64(toStartOfDay(now('UTC')) - INTERVAL 29 DAY, 3, 'UTC') + toIntervalSecond(number * 43) AS at,
    ['not_json', 'invalid', 'duplicate', 'unknown_school'][number % 4 + 1], '', '',
    hex(SHA256(toString(number))), 100
FROM numbers(60000)
WHERE at <= now64(3);

-- step: pipeline_metrics, 65 series every 10 seconds; a small country has a few days of them
INSERT INTO pipeline_metrics
SELECT
    at, source, lane, metric, topic,
    if(metric IN ('events_total', 'cpu_seconds_total', 'rows_inserted_total'), k * 100, rand() % 50)
FROM (SELECT toStartOfDay(now('UTC')) - (least(30, 2 + intDiv({schools}, 100)) - 1) * 86400 + number * 10 AS at, number AS k FROM numbers(least(30, 2 + intDiv({schools}, 100)) * 8640)) AS ticks
CROSS JOIN
(
    SELECT concat(lane, '-', toString(n)) AS source, lane, m.1 AS metric, if(m.2 = 1, concat('saqshy.', lane), '') AS topic
    FROM
    (
        SELECT
            arrayJoin(['panic', 'liveness', 'outage', 'flow', 'incident', 'archive']) AS lane,
            arrayJoin([0, 1]) AS n,
            arrayJoin([('events_total', 0), ('cpu_seconds_total', 0), ('watermark_age_seconds', 0), ('latency_p99_seconds', 0), ('lag_records', 1)]) AS m
    )
    UNION ALL
    SELECT 'clickhouse', '', m.1, m.2
    FROM (SELECT arrayJoin([('rows_inserted_total', ''), ('parts', 'passes'), ('parts', 'heartbeats'), ('parts', 'flow_5m')]) AS m)
    UNION ALL
    SELECT 'watchdog', '', 'watchdog_age_seconds', ''
) AS series
WHERE at <= now();

-- step: passes, a sample, one million of the whole country
INSERT INTO passes
WITH (SELECT groupArray(toString(school)) FROM (SELECT school FROM schools FINAL ORDER BY school)) AS ids
SELECT
    0, number, now64(3), generateUUIDv4(), ids[number % {schools} + 1], 'turnstile-1',
    now64(3, 'UTC') - toIntervalSecond(number % 3600), 1, number, 'in', 'granted', '0000000000000000'
FROM numbers({schools} * 125);
