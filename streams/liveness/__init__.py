"""The liveness lane: find every silent school, and never take our own silence for one."""
