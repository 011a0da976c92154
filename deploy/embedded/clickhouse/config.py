"""The engine's configuration: bounded memory and threads, and a user who can reach nothing but tables.

chDB has one user for all connections of its process. What he may do beyond reading the published views
is in a role, and a reader's session puts the role off before its first statement.
"""

from pathlib import Path
from typing import Final

from deploy.embedded.secrets import write_private

MEMORY_BYTES: Final = 3_000_000_000
ENGINES: Final = (
    "MergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "AggregatingMergeTree",
    "CollapsingMergeTree",
    "Memory",
    "Null",
    "View",
    "MaterializedView",
)

PUT_OFF_OWNER: Final = "SET ROLE NONE"

_USERS: Final = """<clickhouse>
<profiles><default>
  <async_insert>0</async_insert>
  <max_threads>2</max_threads>
  <print_pretty_type_names>0</print_pretty_type_names>
  <max_memory_usage>2000000000</max_memory_usage>
</default></profiles>
<roles><owner>
  <grants>
    <query>GRANT SHOW, SELECT, INSERT, ALTER, DROP, TRUNCATE, OPTIMIZE, KILL QUERY ON *.*</query>
    <query>GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE ON *.*</query>
    <query>GRANT SYSTEM MERGES, SYSTEM FLUSH LOGS ON *.*</query>
    {engines}
  </grants>
</owner></roles>
<users><default>
  <password></password>
  <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
  <profile>default</profile><quota>default</quota>
  <grants>
    <query>GRANT SELECT ON saqshy.published_*</query>
    <query>GRANT owner</query>
  </grants>
</default></users>
<quotas><default/></quotas>
</clickhouse>
"""
_SERVER: Final = """<clickhouse>
<path>{data}</path>
<users_config>{users}</users_config>
<max_server_memory_usage>{memory}</max_server_memory_usage>
<background_pool_size>2</background_pool_size>
<background_schedule_pool_size>4</background_schedule_pool_size>
<mark_cache_size>67108864</mark_cache_size>
</clickhouse>
"""


def engine_path(var: Path) -> str:
    """What to open: the data folder with its configuration, which is written anew."""
    home = var.absolute() / "clickhouse"
    home.mkdir(parents=True, exist_ok=True)
    users, server = home / "users.xml", home / "config.xml"
    engines = "\n    ".join(f"<query>GRANT TABLE ENGINE ON {name}</query>" for name in ENGINES)
    write_private(users, _USERS.format(engines=engines))
    data = home / "data"
    write_private(server, _SERVER.format(data=data, users=users, memory=MEMORY_BYTES))
    return f"{data}?config-file={server}"
