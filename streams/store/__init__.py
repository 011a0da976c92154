"""Store records in ClickHouse, each exactly once.

From bytes to rows: judge (is it an event, and one for this topic?), seen (was it there before?), rows,
block (what one batch becomes), clickhouse (inserts under a token), store (the order of it all), agent
(the lanes that do it).
"""
