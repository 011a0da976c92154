"""The contracts: events, alerts, topics, tables, settings. Imports nothing of ours."""

from schemas import zones as zones
