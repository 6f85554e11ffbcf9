from .client import ClientOptions as ClientOptions, PreservicaClient as PreservicaClient
from .contexts import Contexts as Contexts
from .filters import (
    MessageStatus as MessageStatus,
    MonitorCategory as MonitorCategory,
    MonitorStatus as MonitorStatus,
    WorkflowFilters as WorkflowFilters,
    WorkflowType as WorkflowType,
)
from .monitors import Monitors as Monitors
from .process_wait import WhenProcessParked as WhenProcessParked
from .processes import Processes as Processes
from .records import (
    Context as Context,
    Message as Message,
    Monitor as Monitor,
    Process as Process,
    Started as Started,
    State as State,
    Workflow as Workflow,
)
from .start_backend import Start as Start
from .token_store import FileTokenStore as FileTokenStore, TokenStore as TokenStore
from .workflows import Workflows as Workflows
