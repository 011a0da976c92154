-- The published views since people's and adapters' steps stand beside the lanes' decisions (020), and
-- since there are canaries: schools of the watchdog's own (KZ-00-9…), which no view shows.

CREATE OR REPLACE VIEW published_schools DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, provider, programs, teacher_assistants, length(devices) AS expected_devices,
    center
FROM schools FINAL
WHERE NOT startsWith(school, 'KZ-00-9');

CREATE OR REPLACE VIEW published_status DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, device, kind, status, since, decided
FROM status FINAL
WHERE NOT startsWith(school, 'KZ-00-9');

CREATE OR REPLACE VIEW published_device_transitions DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, device, kind, status, since, decided
FROM status_history
WHERE device != '' AND NOT startsWith(school, 'KZ-00-9');

CREATE OR REPLACE VIEW published_school_states DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, status, since, decided,
    leadInFrame(toNullable(since)) OVER (
        PARTITION BY school ORDER BY since ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) AS until
FROM school_transitions FINAL
WHERE NOT startsWith(school, 'KZ-00-9');

CREATE OR REPLACE VIEW published_region_flow DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT region, bucket, came_in, went_out, denied
FROM region_flow_1m
WHERE region != 'KZ-00';

CREATE OR REPLACE VIEW published_panics_1h DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, bucket, pressed, cancelled, tests, tests_failed
FROM panics_1h
WHERE NOT startsWith(school, 'KZ-00-9');

CREATE OR REPLACE VIEW published_devices DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, expected.1 AS device, expected.2 AS kind, expected.3 AS period_s
FROM
(
    SELECT school, arrayJoin(arrayZip(devices, device_kinds, device_periods_s)) AS expected
    FROM schools FINAL
    WHERE NOT startsWith(school, 'KZ-00-9')
);

-- Asked: when was each step of an alert first taken? A machine that is killed takes a step again under the
-- same id, and the earliest counts (schemas/life.py); a school's steps stand in one Kafka partition, so
-- that is the smallest offset, while a plain replacing table would keep the last one.
CREATE TABLE IF NOT EXISTS first_steps
(
    school       LowCardinality(String),
    alert        String,
    took         LowCardinality(String),
    id           String,
    kafka_time   DateTime64(3, 'UTC'),
    kafka_offset UInt64,
    outcome      LowCardinality(String),
    target       String,
    score        Nullable(UInt8),
    earlier      UInt64
)
ENGINE = ReplacingMergeTree(earlier)
PARTITION BY toYYYYMM(kafka_time)
ORDER BY (school, alert, took, id)
TTL toDateTime(kafka_time) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS first_steps_feed TO first_steps AS
SELECT
    school, alert, took, id, kafka_time, kafka_offset, outcome, target, score,
    18446744073709551615 - kafka_offset AS earlier
FROM alert_steps;

INSERT INTO first_steps
SELECT
    school, alert, took, id, kafka_time, kafka_offset, outcome, target, score,
    18446744073709551615 - kafka_offset AS earlier
FROM alert_steps;

-- Asked: how does each alert stand, and when was each step first taken? The fold of schemas/life.py:
-- an opening, a press or a person's word reopens what was closed; the first close after the last of
-- them closes it; steps count since it was last reopened. A place in Kafka is (ms, offset), a cause
-- comes after all steps of its millisecond. What a machine repeats has the same id: the earliest counts.
--   waiting    since when somebody is waited for: the event's time, or Kafka's of the last reopening
--   sent … arrived   the first such step since then, in Kafka's time; NULL for what has not happened
--   closed     by a person; resolved: over, by a person or because the lane says so
--   center     the police center that took it, or to which it was sent
--   score      the highest said of it, -1 when none was
--   members    of an outage: all schools that were ever named in it
CREATE OR REPLACE VIEW published_alerts DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
WITH
    arrayConcat(arrayMap(ms -> (ms, toUInt64(18446744073709551615)), t.causes), s.reopens) AS moves,
    arraySort(moves)[-1] AS last_move,
    arraySort(arrayFilter(c -> (c.1, c.2) > last_move, s.closes))[1] AS closing,
    arraySort(arrayFilter(c -> (c.1, c.2) < last_move, s.closes))[-1] AS undone,
    if(undone.1 = 0, (toInt64(0), toUInt64(0)), arraySort(arrayFilter(m -> m > (undone.1, undone.2), moves))[1]) AS reopening,
    arraySort(arrayFilter(p -> (p.1, p.2) > reopening, s.places_sent))[1] AS first_sent,
    arraySort(arrayFilter(p -> (p.1, p.2) > reopening, s.places_delivered))[1] AS first_delivered,
    arraySort(arrayFilter(p -> p > reopening, s.places_acknowledged))[1].1 AS acknowledged_ms,
    arraySort(arrayFilter(p -> p > reopening, s.places_dispatched))[1].1 AS dispatched_ms,
    arraySort(arrayFilter(p -> p > reopening, s.places_arrived))[1].1 AS arrived_ms,
    t.only_drills AND s.promotions = 0 AS a_drill
SELECT
    t.id AS id, t.kind AS kind, t.school AS school, t.first_device AS first_device,
    multiIf(s.promotions > 0 OR (t.ever_panic AND NOT a_drill), 'panic', t.newest_severity) AS last_severity,
    t.last_action AS last_action, t.opened AS opened, t.detected AS detected,
    if(reopening.1 = 0, t.opened, fromUnixTimestamp64Milli(reopening.1, 'UTC')) AS waiting,
    if(first_sent.1 = 0, NULL, fromUnixTimestamp64Milli(first_sent.1, 'UTC')) AS sent,
    if(first_delivered.1 = 0, NULL, fromUnixTimestamp64Milli(first_delivered.1, 'UTC')) AS delivered,
    multiIf(
        acknowledged_ms > 0, fromUnixTimestamp64Milli(acknowledged_ms, 'UTC'),
        reopening.1 = 0, t.acknowledged_by_lane, NULL
    ) AS acknowledged,
    if(dispatched_ms = 0, NULL, fromUnixTimestamp64Milli(dispatched_ms, 'UTC')) AS dispatched,
    if(arrived_ms = 0, NULL, fromUnixTimestamp64Milli(arrived_ms, 'UTC')) AS arrived,
    if(closing.1 = 0, NULL, fromUnixTimestamp64Milli(closing.1, 'UTC')) AS closed,
    if(t.last_action = 'resolved', t.resolved_by_lane, closed) AS resolved,
    closing.3 AS outcome,
    if(first_delivered.3 != '', first_delivered.3, first_sent.3) AS center,
    s.failures AS failures, t.presses AS presses, t.any_unidentified AS any_unidentified,
    a_drill AS drill, t.any_late AS late, greatest(t.score_and_1, s.score_and_1) - 1 AS score,
    t.scope AS scope, t.members AS members, t.outage AS outage
FROM
(
    SELECT
        id, kind, school,
        argMin(device, number) AS first_device,
        argMax(severity, number) AS newest_severity,
        max(severity = 'panic') AS ever_panic,
        argMax(action, number) AS last_action,
        min(time) AS opened,
        minOrNullIf(decided, action = 'opened') AS detected,
        minOrNullIf(decided, action = 'acknowledged') AS acknowledged_by_lane,
        minOrNullIf(decided, action = 'resolved') AS resolved_by_lane,
        mapValues(minMapIf(
            map(number, toUnixTimestamp64Milli(decided)),
            action = 'opened' OR (action = 'updated' AND kind = 'panic' AND NOT startsWith(note, 'cancelled '))
        )) AS causes,
        minIf(drill, action = 'opened' OR (action = 'updated' AND kind = 'panic' AND NOT startsWith(note, 'cancelled '))) AS only_drills,
        max(count) AS presses,
        max(unidentified) AS any_unidentified,
        max(late) AS any_late,
        max(coalesce(toInt16(alert_transitions.score) + 1, 0)) AS score_and_1,
        argMin(alert_transitions.scope, number) AS scope,
        argMax(alert_transitions.members, length(alert_transitions.members)) AS members,
        argMax(alert_transitions.outage, number) AS outage
    FROM alert_transitions
    WHERE NOT startsWith(school, 'KZ-00-9')
    GROUP BY id, kind, school
) AS t
LEFT JOIN
(
    SELECT
        school, alert,
        groupArrayIf((place.1, place.2, said), took = 'closed') AS closes,
        groupArrayIf(place, took = 'reopened') AS reopens,
        groupArrayIf((place.1, place.2, whom), took = 'sent') AS places_sent,
        groupArrayIf((place.1, place.2, whom), took = 'delivered') AS places_delivered,
        groupArrayIf(place, took = 'acknowledged') AS places_acknowledged,
        groupArrayIf(place, took = 'dispatched') AS places_dispatched,
        groupArrayIf(place, took = 'arrived') AS places_arrived,
        countIf(took = 'promoted') AS promotions,
        countIf(took = 'failed') AS failures,
        max(one_score_and_1) AS score_and_1
    FROM
    (
        SELECT
            school, alert, took, id,
            min((toUnixTimestamp64Milli(kafka_time), kafka_offset)) AS place,
            argMin(outcome, (kafka_time, kafka_offset)) AS said,
            argMin(if(position(target, ':') > 0, '', target), (kafka_time, kafka_offset)) AS whom,
            max(coalesce(toInt16(score) + 1, 0)) AS one_score_and_1
        FROM first_steps
        WHERE took NOT IN ('notified', 'escalated', 'assigned', 'silenced', 'noted')
        GROUP BY school, alert, took, id
    )
    GROUP BY school, alert
) AS s ON s.school = t.school AND s.alert = t.id;
