from .client import ClientOptions as ClientOptions, OpencastClient as OpencastClient
from .definition_records import Definition as Definition, OperationDefinition as OperationDefinition
from .definitions import Definitions as Definitions
from .event_query import (
    EventFilters as EventFilters,
    EventListSort as EventListSort,
    EventStatus as EventStatus,
)
from .event_records import Event as Event
from .events import Events as Events
from .filters import DefinitionSort as DefinitionSort, EventSort as EventSort, WorkflowFilters as WorkflowFilters
from .incident_calls import HoldAnswer as HoldAnswer
from .incidents import Incident as Incident, Severity as Severity
from .operation_records import Operation as Operation, OperationState as OperationState
from .panel import Option as Option, OptionType as OptionType
from .records import State as State, Workflow as Workflow
from .server_records import Me as Me, Organization as Organization, Version as Version
from .start_backend import Start as Start
from .workflows import Workflows as Workflows
