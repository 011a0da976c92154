"""The same small job in every consumer that a user might pick, each a process of its own.

The job: decode a turnstile pass and count per school and minute. A peer reads its task as JSON
from the environment variable PEER_TASK (loadtest.peers.work) and prints one JSON object.
"""
