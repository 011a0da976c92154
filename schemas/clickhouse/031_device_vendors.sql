-- Asked: whose devices are away more than others'?
-- Empty in records from before.
ALTER TABLE registry ADD COLUMN IF NOT EXISTS device_vendors Array(LowCardinality(String));
ALTER TABLE schools ADD COLUMN IF NOT EXISTS device_vendors Array(LowCardinality(String));

ALTER TABLE schools_feed MODIFY QUERY
SELECT
    school, name_kk, name_ru, name_en, region, district, latitude, longitude, pupils, ownership,
    special, shifts, bells, provider, programs, teacher_assistants, devices, device_kinds,
    device_periods_s, kafka_offset, center, device_vendors
FROM registry;
