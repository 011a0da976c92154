-- What the console shows its operators, and Grafana nobody: read with the console's own rights.

-- query: console_reports_today
-- only: console
-- shape: numbers
-- asked: how many reports came today, in the whole country? A running day is not published.
-- columns: reports_today
SELECT sum(events) AS reports_today
FROM incidents_1h
WHERE type = 'incident.reported' AND bucket >= toStartOfDay(now(), 'Asia/Almaty')

-- query: console_contract
-- only: console
-- shape: table
-- asked: under which number is the school's security contract?
-- columns: contract_number
SELECT contract_number
FROM equipment FINAL
WHERE school = '$school'

-- query: console_reports
-- only: console
-- shape: table
-- asked: what was reported at the school in the last 30 days, in the words of who reported it?
-- columns: time, type, category, channel, place, text
SELECT time, type, category, channel, place, text
FROM incidents
WHERE school = '$school' AND time >= now() - INTERVAL 30 DAY
ORDER BY time DESC
LIMIT 20
