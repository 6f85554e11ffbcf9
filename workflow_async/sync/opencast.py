"""The synchronous client for one Opencast.

The types stand in opencast.pyi, which `python -m tests.support.sync_stubs` writes.
"""

from workflow_async.opencast.client import OpencastClient
from workflow_async.opencast.definitions import Definitions
from workflow_async.opencast.events import Events
from workflow_async.opencast.workflows import Workflows
from workflow_async.sync._blocking import blocking, service
from workflow_async.sync._client import SyncClient, from_env

SyncWorkflows = service(Workflows)
SyncDefinitions = service(Definitions)
SyncEvents = service(Events)


class SyncOpencastClient(blocking(OpencastClient, SyncClient, __name__)):
    """A client for one Opencast whose calls block the calling thread. `OpencastClient.sync` makes it."""

    from_env = from_env(OpencastClient.from_env)
