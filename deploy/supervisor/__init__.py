"""Keeps the processes of one machine running: started in order, restarted when they crash."""

from deploy.supervisor.notice import Notice, What
from deploy.supervisor.part import Part
from deploy.supervisor.supervise import PartFailed, Supervisor

__all__ = ["Notice", "Part", "PartFailed", "Supervisor", "What"]
