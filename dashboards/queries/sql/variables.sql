-- Choices at the top of the dashboards.

-- query: choose_region
-- shape: variable
-- asked: which regions have schools?
-- columns: region
SELECT DISTINCT region FROM published_schools ORDER BY region

-- query: choose_district
-- shape: variable
-- asked: which districts are in the chosen regions?
-- columns: district
SELECT DISTINCT district
FROM published_schools
WHERE $__conditionalAll(region IN (${region:singlequote}), $region)
ORDER BY district

-- query: choose_school
-- shape: variable
-- asked: which schools are in the chosen regions, by name?
-- columns: __text, __value
SELECT concat(name_$lang, ' (', school, ')') AS __text, school AS __value
FROM published_schools
WHERE $__conditionalAll(region IN (${region:singlequote}), $region)
ORDER BY school
LIMIT 10000

-- query: choose_provider
-- shape: variable
-- asked: which providers connect the schools?
-- columns: provider
SELECT DISTINCT provider FROM published_schools ORDER BY provider
