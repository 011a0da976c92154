-- What a panic's transition is about (schemas/alerts.py, Cause): press or cancel. Records of before say
-- nothing, and only the begin of their note tells a cancel from a press.
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS cause LowCardinality(String);
-- schemas/life.py, _raises.
ALTER TABLE alert_transitions ADD COLUMN IF NOT EXISTS raises Bool ALIAS
    action = 'opened' OR (
        action = 'updated' AND kind = 'panic'
        AND NOT if(cause = '', startsWith(note, 'cancelled '), cause = 'cancel')
    );

-- Asked: how does each alert stand, and when was each step first taken? The fold of schemas/life.py:
-- an opening, a press or a person's word reopens what was closed; the first close after the last of
-- them closes it; steps count since it was last reopened. A place in Kafka is (ms, offset), here with
-- doubled offsets. A cause comes after all steps of its millisecond, and between the last close or
-- reopening whose actor had not seen it and the first whose actor had: between two offsets there is room.
-- What a machine repeats has the same id: the earliest counts.
--   waiting    since when somebody is waited for: the event's time, or Kafka's of the last reopening
--   sent … arrived   the first such step since then, in Kafka's time; NULL for what has not happened
--   closed     by a person; resolved: over, by a person or because the lane says so
--   center     the police center that took it, or to which it was sent
--   score      what the presses gave and one per kind of evidence, or what a person said; -1 for none
--   members    of an outage: all schools that were ever named in it
CREATE OR REPLACE VIEW published_alerts DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
WITH
    arraySort(arrayConcat(arrayMap(c -> (c.1, c.2, c.3), s.closes), s.reopens)) AS words,
    arrayMap(
        c -> (c.1, c.2, arrayFirstIndex(w -> if(w.3 < 0, c.2 < w.1, c.1 <= w.3), words)), t.causes
    ) AS seen,
    arrayMap(
        c -> (
            arraySort([
                arraySort([
                    (c.2, toUInt64(18446744073709551615)),
                    if(c.3 = 1 OR empty(words), (toInt64(0), toUInt64(0)), (words[c.3 - 1].1, words[c.3 - 1].2 + 1))
                ])[2],
                if(c.3 = 0, (toInt64(9223372036854775807), toUInt64(0)), (words[c.3].1, toUInt64(words[c.3].2 - 1)))
            ])[1],
            c.2, c.1
        ),
        seen
    ) AS pressed,
    arrayConcat(
        arrayMap(p -> (p.1.1, p.1.2, p.2, p.3), pressed),
        arrayMap(r -> (r.1, r.2, toInt64(0), toInt64(-1)), s.reopens)
    ) AS moves,
    arraySort(moves)[-1] AS last_move,
    arraySort(arrayFilter(c -> (c.1, c.2) > (last_move.1, last_move.2), s.closes))[1] AS closing,
    arraySort(arrayFilter(c -> (c.1, c.2) < (last_move.1, last_move.2), s.closes))[-1] AS undone,
    if(
        undone.1 = 0, (toInt64(0), toUInt64(0), toInt64(0), toInt64(-1)),
        arraySort(arrayFilter(m -> (m.1, m.2) > (undone.1, undone.2), moves))[1]
    ) AS reopening,
    p -> (p.1, p.2) > (reopening.1, reopening.2) AND (p.3 < 0 OR p.3 >= reopening.4) AS since,
    arraySort(arrayFilter(p -> (p.1, p.2) > (reopening.1, reopening.2), s.places_sent))[1] AS first_sent,
    arraySort(arrayFilter(p -> (p.1, p.2) > (reopening.1, reopening.2), s.places_delivered))[1] AS first_delivered,
    arraySort(arrayFilter(since, s.places_acknowledged))[1].1 AS acknowledged_ms,
    arraySort(arrayFilter(since, s.places_dispatched))[1].1 AS dispatched_ms,
    arraySort(arrayFilter(since, s.places_arrived))[1].1 AS arrived_ms,
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
    closing.4 AS outcome,
    if(first_delivered.3 != '', first_delivered.3, first_sent.3) AS center,
    s.failures AS failures, t.presses AS presses, t.any_unidentified AS any_unidentified,
    a_drill AS drill, t.any_late AS late, 
    greatest(if(t.score_and_1 = 0, 0, least(5, t.score_and_1 + s.evidence)), s.score_and_1) - 1 AS score,
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
        minMapIf(
            map(toInt64(number), toUnixTimestamp64Milli(decided)),
            raises
        ) AS first_of,
        arrayZip(mapKeys(first_of), mapValues(first_of)) AS causes,
        minIf(drill, raises) AS only_drills,
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
        groupArrayIf((place.1, place.2, seen_upto, said), took = 'closed') AS closes,
        groupArrayIf((place.1, place.2, seen_upto), took = 'reopened') AS reopens,
        groupArrayIf((place.1, place.2, whom), took = 'sent') AS places_sent,
        groupArrayIf((place.1, place.2, whom), took = 'delivered') AS places_delivered,
        groupArrayIf((place.1, place.2, seen_upto), took = 'acknowledged') AS places_acknowledged,
        groupArrayIf((place.1, place.2, seen_upto), took = 'dispatched') AS places_dispatched,
        groupArrayIf((place.1, place.2, seen_upto), took = 'arrived') AS places_arrived,
        uniqExactIf(found, took = 'verified' AND one_score_and_1 = 0 AND found != '') AS evidence,
        countIf(took = 'promoted') AS promotions,
        countIf(took = 'failed') AS failures,
        max(one_score_and_1) AS score_and_1
    FROM
    (
        SELECT
            school, alert, took, id,
            min((toUnixTimestamp64Milli(kafka_time), 2 * kafka_offset)) AS place,
            argMin(ifNull(toInt64(upto), -1), (kafka_time, kafka_offset)) AS seen_upto,
            argMin(target, (kafka_time, kafka_offset)) AS found,
            argMin(outcome, (kafka_time, kafka_offset)) AS said,
            argMin(if(position(target, ':') > 0, '', target), (kafka_time, kafka_offset)) AS whom,
            argMin(coalesce(toInt16(score) + 1, 0), (kafka_time, kafka_offset)) AS one_score_and_1
        FROM first_steps
        WHERE took NOT IN ('notified', 'escalated', 'assigned', 'silenced', 'noted')
        GROUP BY school, alert, took, id
    )
    GROUP BY school, alert
) AS s ON s.school = t.school AND s.alert = t.id;
