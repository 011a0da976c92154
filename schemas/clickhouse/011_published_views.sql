-- What Grafana may read, and nothing else: no card, no text of a report, no place of a press, no name
-- of a person. The views read with their creator's rights (SQL SECURITY DEFINER), so the reader is
-- granted the views alone (dashboards/grafana/reader.sql).

CREATE VIEW IF NOT EXISTS published_schools DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, provider, programs, teacher_assistants, length(devices) AS expected_devices
FROM schools FINAL;

CREATE VIEW IF NOT EXISTS published_status DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, device, kind, status, since, decided
FROM status FINAL;

CREATE VIEW IF NOT EXISTS published_device_transitions DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, device, kind, status, since, decided
FROM status_history
WHERE device != '';

-- Each status of a school lasts until the next one begins; the last one has no end.
CREATE VIEW IF NOT EXISTS published_school_states DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, status, since, decided,
    leadInFrame(toNullable(since)) OVER (
        PARTITION BY school ORDER BY since ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) AS until
FROM school_transitions FINAL;

CREATE VIEW IF NOT EXISTS published_alerts DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    id,
    kind,
    school,
    argMin(device, number) AS first_device,
    argMax(severity, number) AS last_severity,
    argMax(action, number) AS last_action,
    min(time) AS opened,
    minOrNullIf(decided, action = 'opened') AS detected,
    minOrNullIf(decided, action = 'acknowledged') AS acknowledged,
    minOrNullIf(decided, action = 'resolved') AS resolved,
    max(count) AS presses,
    max(unidentified) AS any_unidentified
FROM alert_transitions
GROUP BY id, kind, school;

CREATE VIEW IF NOT EXISTS published_flow_1m DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, bucket, came_in, went_out, denied FROM flow_1m;

CREATE VIEW IF NOT EXISTS published_flow_5m DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, bucket, came_in, went_out, denied FROM flow_5m;

CREATE VIEW IF NOT EXISTS published_flow_1h DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, bucket, came_in, went_out, denied FROM flow_1h;

CREATE VIEW IF NOT EXISTS published_region_flow DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT region, bucket, came_in, went_out, denied FROM region_flow_1m;

CREATE VIEW IF NOT EXISTS published_heartbeats_5m DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, kind, bucket, toUInt64(beats) AS beats, CAST(min_battery, 'Nullable(UInt8)') AS min_battery,
    toUInt8(min_link) AS min_link, toUInt32(max_buffered) AS max_buffered,
    toUInt32(max_skew_ms) AS max_skew_ms
FROM heartbeats_5m;

CREATE VIEW IF NOT EXISTS published_panics_1h DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, bucket, pressed, cancelled, tests, tests_failed FROM panics_1h;

CREATE VIEW IF NOT EXISTS published_panic_tests DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, device, max(last_test) AS last_test, max(last_passed) AS last_passed
FROM panic_tests
GROUP BY school, device;

CREATE VIEW IF NOT EXISTS published_equipment DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    school, turnstiles, panic_buttons, gateways, police_link, contract_company, contract_expires,
    changed
FROM equipment FINAL;

CREATE VIEW IF NOT EXISTS published_inspections DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, time AS inspected, finding_codes, finding_severities
FROM facilities
WHERE type = 'inspection.completed';

CREATE VIEW IF NOT EXISTS published_dead_letters DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT topic, reason, bucket, letters, bytes FROM dead_letters_5m;

CREATE VIEW IF NOT EXISTS published_pipeline DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT sampled, source, lane, metric, topic, value FROM pipeline_metrics;

-- The devices that the registry expects, one row each.
CREATE VIEW IF NOT EXISTS published_devices DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT school, expected.1 AS device, expected.2 AS kind, expected.3 AS period_s
FROM
(
    SELECT school, arrayJoin(arrayZip(devices, device_kinds, device_periods_s)) AS expected
    FROM schools FINAL
);
