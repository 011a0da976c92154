"""The contracts: events, alerts, topics, tables, settings. Imports nothing of ours."""
