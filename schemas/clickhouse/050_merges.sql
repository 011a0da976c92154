-- Many small blocks come into these tables, and ClickHouse's merges are made for large ones: it reckons each
-- part as 5 MiB more than it has (SimpleMergeSelector, size_fixed_cost_to_add), so in a table of a few MiB every
-- fifth block had the whole table rewritten, 250 rows for each that was stored. Here a merge waits until it has
-- at least 24 parts, and until they are 48 times as much as the largest of them. None of these is read with
-- FINAL, and a query opens some dozens of small parts more.
ALTER TABLE passes MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE heartbeats MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE flow_1m MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE flow_5m MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE flow_1h MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE region_flow_1m MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE heartbeats_1m MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE heartbeats_5m MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE heartbeats_1h MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE status_history MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
ALTER TABLE pipeline_metrics MODIFY SETTING merge_selector_base = 48, min_parts_to_merge_at_once = 24;
