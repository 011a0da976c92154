"""What else speaks for an open panic: it raises the score, and holds up nothing."""
