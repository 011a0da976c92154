-- Grafana's user on a real ClickHouse server: it reads the published views and nothing else. Run once as
-- an administrator, in the database of Saqshy, with a password of your own:
--   clickhouse-client --database saqshy --param_password=… --multiquery < reader.sql
-- The embedded engine has this user already, with the same rights (docs/grafana.md).

CREATE SETTINGS PROFILE IF NOT EXISTS saqshy_reader SETTINGS
    readonly = 2, -- may change settings of a query (the data source does), never data
    max_execution_time = 10 READONLY,
    max_rows_to_read = 500000000 READONLY,
    max_memory_usage = 4000000000 READONLY,
    allow_ddl = 0 READONLY;

CREATE ROLE IF NOT EXISTS saqshy_reader SETTINGS PROFILE 'saqshy_reader';

GRANT SELECT ON published_alerts TO saqshy_reader;
GRANT SELECT ON published_dead_letters TO saqshy_reader;
GRANT SELECT ON published_device_transitions TO saqshy_reader;
GRANT SELECT ON published_devices TO saqshy_reader;
GRANT SELECT ON published_equipment TO saqshy_reader;
GRANT SELECT ON published_flow_1h TO saqshy_reader;
GRANT SELECT ON published_flow_1m TO saqshy_reader;
GRANT SELECT ON published_flow_5m TO saqshy_reader;
GRANT SELECT ON published_heartbeats_5m TO saqshy_reader;
GRANT SELECT ON published_incidents TO saqshy_reader;
GRANT SELECT ON published_inspections TO saqshy_reader;
GRANT SELECT ON published_panic_tests TO saqshy_reader;
GRANT SELECT ON published_panics_1h TO saqshy_reader;
GRANT SELECT ON published_pipeline TO saqshy_reader;
GRANT SELECT ON published_region_flow TO saqshy_reader;
GRANT SELECT ON published_school_states TO saqshy_reader;
GRANT SELECT ON published_schools TO saqshy_reader;
GRANT SELECT ON published_status TO saqshy_reader;

CREATE USER IF NOT EXISTS saqshy_reader
    IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE saqshy_reader
    SETTINGS PROFILE 'saqshy_reader';

GRANT saqshy_reader TO saqshy_reader;
