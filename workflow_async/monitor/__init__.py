"""Waiting for workflows."""

from workflow_async.monitor.wait import Parked, wait

__all__ = ["Parked", "wait"]
