"""How a process reads from Kafka and writes to it."""
