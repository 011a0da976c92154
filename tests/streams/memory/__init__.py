"""A log in memory, and lanes that run on it in a time of their own: no broker, and no second is waited."""
