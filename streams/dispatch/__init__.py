"""The way to the police: each panic to its center, again until somebody has it, and to people."""
