"""Every exception that this library raises.

    WorkflowAsyncError
    ├── InvalidArgument           an argument that cannot be sent, raised before any I/O (also a ValueError)
    ├── ClientClosed              the client is not open: not entered yet, or closed already
    ├── WrongEventLoop            the client belongs to another event loop, or to the process before a fork
    ├── PollTaskFailed            the poll task of a client ended with an unexpected error
    ├── CallError                 one call to the server failed
    │   ├── TransportError        no complete response arrived
    │   │   ├── NotSent           nothing was sent, so nothing has happened
    │   │   │   ├── ConnectFailed no connection could be made
    │   │   │   │   ├── TLSVerificationFailed
    │   │   │   │   └── ProxyRefused
    │   │   │   ├── NetworkBlocked WORKFLOW_ASYNC_NO_NETWORK forbids requests to other hosts
    │   │   │   ├── PaceFailed    the function of `pace=` raised an exception
    │   │   │   └── NotSentInTime a timeout passed first (also a TimeoutError)
    │   │   ├── ConnectionBroken  the connection ended early
    │   │   ├── DeadlineExceeded  a timeout of `Timeouts` passed (also a TimeoutError)
    │   │   ├── MiddlewareFailed  a middleware raised an exception of its own, or broke a rule
    │   │   ├── ResponseTooLarge  the response is larger than `Limits` allows
    │   │   └── ContentEncodingError  an unsupported Content-Encoding, or a damaged compressed body
    │   ├── StatusError           the response has an error status
    │   │   ├── StartRejected     a start was refused, so it has not happened. Each is also the class of its status
    │   │   │   ├── StartInvalid 400  StartUnauthorized 401  StartForbidden 403  StartNotFound 404
    │   │   │   └── StartConflict 409 (another workflow is active on the event)  StartLimited 429
    │   │   ├── BadRequest 400    Unauthorized 401    Forbidden 403    NotFound 404    NotAcceptable 406
    │   │   ├── Conflict 409      RateLimited 429     ServerError 5xx
    │   │   │   └── ConfigurationNotReplaced 500 (a bug of Opencast 12 and later)
    │   │   └── ForeignResponse   the API did not write the response: a proxy or a starting server did
    │   │       └── UnexpectedRedirect 3xx
    │   ├── DecodeError           the response cannot be read, with the path
    │   │   └── UnexpectedContent an HTML page instead of JSON or XML: a login page, a portal
    │   ├── ResponseMismatch      the response is about another workflow than the requested one
    │   ├── ListingNotSupported   this server has no list of workflows
    │   │   └── ListingIncomplete     and with these roles some workflows cannot be found
    │   ├── CountNotSupported     this server cannot count workflows by these filters
    │   └── ListingInconsistent   the pages of a listing do not make progress
    ├── StartOutcomeUnknown       a start may or may not have happened
    ├── CoordinatorUnavailable    the coordinator of a distribution does not answer
    ├── JournalError              a batch cannot use its journal
    ├── AlreadyFinished           a stop or pause was not sent: it would rewrite the result
    ├── NotHeld                   an answer was not sent: no operation of the workflow waits for one
    ├── PartialFailure            Preservica accepted a retry or a terminate for only some of the workflows
    ├── WorkflowFailed            a wait with `check=True` ended in a phase other than SUCCEEDED
    ├── WorkflowParked            a wait with `parked="raise"` found a workflow that needs a person
    ├── WorkflowReplaced          the id of a watched workflow belongs to another workflow now
    ├── WaitTimeout               the timeout of a wait passed (also a TimeoutError)
    ├── ProcessNotFound           no process monitor of Preservica has this name
    └── ProcessWaitTimeout        the timeout of a wait for a process passed (also a TimeoutError)

Errors hold data and compose their message in `__str__`. No error holds a secret, a request or a response.
"""

from workflow_async.errors._base import (
    BODY_CUT,
    Attempt,
    CallError,
    ClientClosed,
    CoordinatorUnavailable,
    InvalidArgument,
    PollTaskFailed,
    WorkflowAsyncError,
    WrongEventLoop,
)
from workflow_async.errors._content import (
    CountNotSupported,
    DecodeError,
    ListingIncomplete,
    ListingInconsistent,
    ListingNotSupported,
    ResponseMismatch,
    UnexpectedContent,
)
from workflow_async.errors._process import MonitorSummary, ProcessNotFound, ProcessWaitTimeout
from workflow_async.errors._status import (
    BadRequest,
    ConfigurationNotReplaced,
    Conflict,
    Forbidden,
    ForeignResponse,
    NotAcceptable,
    NotFound,
    RateLimited,
    ServerError,
    StartConflict,
    StartForbidden,
    StartInvalid,
    StartLimited,
    StartNotFound,
    StartRejected,
    StartUnauthorized,
    StatusError,
    Unauthorized,
    UnexpectedRedirect,
)
from workflow_async.errors._transport import (
    ConnectFailed,
    ConnectionBroken,
    ContentEncodingError,
    DeadlineExceeded,
    MiddlewareFailed,
    NetworkBlocked,
    NotSent,
    NotSentInTime,
    PaceFailed,
    ProxyRefused,
    ResponseTooLarge,
    TLSVerificationFailed,
    TransportError,
)
from workflow_async.errors._workflow import (
    AlreadyFinished,
    JournalError,
    NotHeld,
    PartialFailure,
    PreparedStart,
    StartOutcomeUnknown,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
    WorkflowSummary,
)

__all__ = [
    "BODY_CUT",
    "AlreadyFinished",
    "Attempt",
    "BadRequest",
    "CallError",
    "ClientClosed",
    "ConfigurationNotReplaced",
    "Conflict",
    "ConnectFailed",
    "ConnectionBroken",
    "ContentEncodingError",
    "CoordinatorUnavailable",
    "CountNotSupported",
    "DeadlineExceeded",
    "DecodeError",
    "Forbidden",
    "ForeignResponse",
    "InvalidArgument",
    "JournalError",
    "ListingIncomplete",
    "ListingInconsistent",
    "ListingNotSupported",
    "MiddlewareFailed",
    "MonitorSummary",
    "NetworkBlocked",
    "NotAcceptable",
    "NotFound",
    "NotHeld",
    "NotSent",
    "NotSentInTime",
    "PaceFailed",
    "PartialFailure",
    "PollTaskFailed",
    "PreparedStart",
    "ProcessNotFound",
    "ProcessWaitTimeout",
    "ProxyRefused",
    "RateLimited",
    "ResponseMismatch",
    "ResponseTooLarge",
    "ServerError",
    "StartConflict",
    "StartForbidden",
    "StartInvalid",
    "StartLimited",
    "StartNotFound",
    "StartOutcomeUnknown",
    "StartRejected",
    "StartUnauthorized",
    "StatusError",
    "TLSVerificationFailed",
    "TransportError",
    "Unauthorized",
    "UnexpectedContent",
    "UnexpectedRedirect",
    "WaitTimeout",
    "WorkflowAsyncError",
    "WorkflowFailed",
    "WorkflowParked",
    "WorkflowReplaced",
    "WorkflowSummary",
    "WrongEventLoop",
]

for _value in list(globals().values()):
    if isinstance(_value, type):
        _value.__module__ = __name__  # tracebacks show `workflow_async.errors.NotFound`, not the private module
