"""The outage lane: many silent schools with one cause are one incident."""
