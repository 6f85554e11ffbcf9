"""Tools for the tests of your own program: time that skips waits, and records made like those of a server.

The servers to test with are in `workflow_async.sandbox`. In pytest, the fixtures `workflow_sandbox`, `workflow_time`,
`opencast_client` and `preservica_client` bring them together.
"""

from workflow_async.testing.factories import change, finished, opencast_workflow, preservica_workflow
from workflow_async.testing.skipping_time import ClientTime, SkippingTime

__all__ = ["ClientTime", "SkippingTime", "change", "finished", "opencast_workflow", "preservica_workflow"]
