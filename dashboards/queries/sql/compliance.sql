-- Who has what the law asks for. The duty falls on schools of more than 100 pupils: turnstiles, a
-- contract with licensed guards, a panic button; the police link is asked of all that have a button.

-- query: duty_met
-- shape: numbers
-- asked: which shares of the schools under the duty have each thing?
-- columns: schools, turnstiles, contract, panic_button, police_link, everything
SELECT
    count() AS schools,
    countIf(e.turnstiles > 0) / schools AS turnstiles,
    countIf(e.contract_expires >= today()) / schools AS contract,
    countIf(e.panic_buttons > 0) / schools AS panic_button,
    countIf(e.police_link) / schools AS police_link,
    countIf(e.turnstiles > 0 AND e.contract_expires >= today() AND e.panic_buttons > 0 AND e.police_link) / schools AS everything
FROM published_schools AS s
LEFT JOIN published_equipment AS e ON e.school = s.school
WHERE s.pupils > 100

-- query: lacking_map
-- shape: map
-- asked: where is something missing? The level counts what is.
-- columns: school, name, latitude, longitude, pupils, missing, level
SELECT
    s.school AS school, s.name_$lang AS name, s.latitude AS latitude, s.longitude AS longitude,
    s.pupils AS pupils, arrayStringConcat(lacks, ', ') AS missing, length(lacks) AS level
FROM
(
    SELECT
        school,
        arrayFilter(thing -> thing != '', [
            if(turnstiles = 0, 'turnstiles', ''), if(coalesce(contract_expires, toDate32('1970-01-01')) < today(), 'contract', ''),
            if(panic_buttons = 0, 'panic button', ''), if(police_link, '', 'police link')
        ]) AS lacks
    FROM published_equipment
) AS e
INNER JOIN published_schools AS s ON s.school = e.school
WHERE length(lacks) > 0 AND s.pupils > 100
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
ORDER BY level, school

-- query: lacking
-- shape: table
-- asked: who must act: which schools under the duty lack what, the largest first?
-- columns: school, name, region, district, pupils, ownership, missing
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region, s.district AS district,
    s.pupils AS pupils, s.ownership AS ownership, arrayStringConcat(lacks, ', ') AS missing
FROM
(
    SELECT
        k.school AS school,
        arrayFilter(thing -> thing != '', [
            if(q.turnstiles = 0, 'turnstiles', ''), if(coalesce(q.contract_expires, toDate32('1970-01-01')) < today(), 'contract', ''),
            if(q.panic_buttons = 0, 'panic button', ''), if(q.police_link, '', 'police link')
        ]) AS lacks
    FROM published_schools AS k
    LEFT JOIN published_equipment AS q ON q.school = k.school
) AS e
INNER JOIN published_schools AS s ON s.school = e.school
WHERE length(lacks) > 0 AND s.pupils > 100
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
ORDER BY pupils DESC, school
LIMIT 2000

-- query: duty_by_region
-- shape: table
-- asked: how far is each region?
-- columns: region, schools, with_turnstiles, with_contract, with_panic_button, with_police_link, complete
SELECT
    s.region AS region, count() AS schools,
    countIf(e.turnstiles > 0) AS with_turnstiles,
    countIf(e.contract_expires >= today()) AS with_contract,
    countIf(e.panic_buttons > 0) AS with_panic_button,
    countIf(e.police_link) AS with_police_link,
    round(countIf(e.turnstiles > 0 AND e.contract_expires >= today() AND e.panic_buttons > 0 AND e.police_link) / schools, 4) AS complete
FROM published_schools AS s
LEFT JOIN published_equipment AS e ON e.school = s.school
WHERE s.pupils > 100
GROUP BY region
ORDER BY complete, region

-- query: by_ownership
-- shape: bars
-- asked: do private institutions do worse?
-- columns: ownership, schools, without_turnstiles, without_contract, without_panic_button, without_police_link
SELECT
    s.ownership AS ownership, count() AS schools,
    countIf(e.turnstiles = 0) AS without_turnstiles,
    countIf(coalesce(e.contract_expires, toDate32('1970-01-01')) < today()) AS without_contract,
    countIf(e.panic_buttons = 0) AS without_panic_button,
    countIf(NOT e.police_link) AS without_police_link
FROM published_schools AS s
LEFT JOIN published_equipment AS e ON e.school = s.school
GROUP BY ownership
ORDER BY ownership

-- query: special_schools
-- shape: table
-- asked: how are the special schools, and how many assistants do they have?
-- columns: region, schools, pupils, teacher_assistants, without_panic_button
SELECT
    s.region AS region, count() AS schools, sum(s.pupils) AS pupils,
    sum(s.teacher_assistants) AS teacher_assistants,
    countIf(e.panic_buttons = 0) AS without_panic_button
FROM published_schools AS s
LEFT JOIN published_equipment AS e ON e.school = s.school
WHERE s.special
GROUP BY region
ORDER BY region

-- query: contracts_running_out
-- shape: table
-- asked: whose contract ran out or does so within 60 days?
-- columns: school, name, region, company, expires, days_left
SELECT
    s.school AS school, s.name_$lang AS name, s.region AS region, e.contract_company AS company,
    e.contract_expires AS expires, dateDiff('day', today(), e.contract_expires) AS days_left
FROM published_equipment AS e
INNER JOIN published_schools AS s ON s.school = e.school
WHERE e.contract_expires IS NOT NULL AND days_left <= 60
    AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
ORDER BY days_left, school
LIMIT 2000

-- query: contracts_by_month
-- shape: bars
-- asked: how many contracts run out in each of the coming months?
-- columns: month, contracts
SELECT toString(toStartOfMonth(contract_expires)) AS month, count() AS contracts
FROM published_equipment
WHERE contract_expires >= toStartOfMonth(today())
GROUP BY month
ORDER BY month
LIMIT 24

-- query: inspections
-- shape: table
-- asked: what did the inspections find, the newest first?
-- columns: inspected, school, name, region, findings, dangers, codes
SELECT
    i.inspected AS inspected, i.school AS school, s.name_$lang AS name, s.region AS region,
    length(i.finding_codes) AS findings, countEqual(i.finding_severities, 'danger') AS dangers,
    arrayStringConcat(i.finding_codes, ', ') AS codes
FROM published_inspections AS i
INNER JOIN published_schools AS s ON s.school = i.school
WHERE $__timeFilter(i.inspected) AND $__conditionalAll(s.region IN (${region:singlequote}), $region)
ORDER BY inspected DESC, school
LIMIT 1000

-- query: findings
-- shape: bars
-- asked: what is found most often?
-- columns: code, found, dangers
SELECT finding.1 AS code, count() AS found, countIf(finding.2 = 'danger') AS dangers
FROM
(
    SELECT arrayJoin(arrayZip(finding_codes, finding_severities)) AS finding
    FROM published_inspections
    WHERE $__timeFilter(inspected)
)
GROUP BY code
ORDER BY found DESC, code
LIMIT 20
