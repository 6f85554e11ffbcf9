"""The synchronous client for one Preservica.

The types stand in preservica.pyi, which `python -m tests.support.sync_stubs` writes.
"""

from workflow_async.preservica.client import PreservicaClient
from workflow_async.preservica.contexts import Contexts
from workflow_async.preservica.monitors import Monitors
from workflow_async.preservica.processes import Processes
from workflow_async.preservica.workflows import Workflows
from workflow_async.sync._blocking import blocking, service
from workflow_async.sync._client import SyncClient, from_env

SyncWorkflows = service(Workflows)
SyncContexts = service(Contexts)
SyncProcesses = service(Processes)
SyncMonitors = service(Monitors)


class SyncPreservicaClient(blocking(PreservicaClient, SyncClient, __name__)):
    """A client for one Preservica whose calls block the calling thread. `PreservicaClient.sync` makes it."""

    from_env = from_env(PreservicaClient.from_env)
