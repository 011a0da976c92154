"""Events out of bytes for the high-volume topics, a batch at a time. The pydantic models stay the truth."""
