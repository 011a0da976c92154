"""The panic lane: every press raises, within milliseconds, whatever else is down."""
