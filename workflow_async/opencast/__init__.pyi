from .client import ClientOptions as ClientOptions, OpencastClient as OpencastClient
from .definitions import Definitions as Definitions
from .event_query import (
    EventFilters as EventFilters,
    EventListSort as EventListSort,
    EventStatus as EventStatus,
)
from .events import Events as Events
from .filters import DefinitionSort as DefinitionSort, EventSort as EventSort, WorkflowFilters as WorkflowFilters
from .incident_calls import HoldAnswer as HoldAnswer
from .incidents import Incident as Incident, Severity as Severity
from .panel import Option as Option, OptionType as OptionType
from .records import (
    Definition as Definition,
    Event as Event,
    Me as Me,
    Operation as Operation,
    OperationDefinition as OperationDefinition,
    OperationState as OperationState,
    Organization as Organization,
    State as State,
    Version as Version,
    Workflow as Workflow,
)
from .start_backend import Start as Start
from .workflows import Workflows as Workflows
