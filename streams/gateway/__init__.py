"""Where devices send: HTTPS and SIA DC-09 in, Kafka out; a press outlives a broker that is down."""
