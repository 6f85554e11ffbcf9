"""The two systems as a test uses them: their URL, login, contents and recorded requests."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from starlette.types import ASGIApp

from workflow_async.sandbox.conditions import Condition, as_tuple
from workflow_async.sandbox.engine import Engine, Step, TimeSource
from workflow_async.sandbox.fault_middleware import FaultMiddleware, RecordedRequest
from workflow_async.sandbox.faults import Faults
from workflow_async.sandbox.opencast.app import application
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.preservica.app import PreservicaState


class ServerState(Protocol):
    """The state of a system, as far as both systems have the same."""

    @property
    def engine(self) -> Engine:
        """The engine that runs the workflows."""
        ...

    @property
    def username(self) -> str:
        """The user name of an account with all permissions."""
        ...

    @property
    def password(self) -> str:
        """The password of that account."""
        ...

    @property
    def sandbox_time(self) -> TimeSource:
        """The sandbox's time, which does not follow the server's clock."""
        ...

    @property
    def supports_listing(self) -> bool:
        """True if an index serves a list of workflows."""
        ...

    def set_conditions(self, conditions: Sequence[Condition]) -> None:
        """Replace the current conditions."""
        ...


class System:
    """One system of a sandbox."""

    def __init__(self, state: ServerState, app: ASGIApp) -> None:
        self.url = ""
        """The URL, or "" before the sandbox is entered."""
        self.app: FaultMiddleware = FaultMiddleware(app, state.engine.lock, state.sandbox_time, state.engine.clock)
        """The system as an ASGI application, for a client that needs no socket."""
        self.engine: Engine = state.engine
        self.username: str = state.username
        self.password: str = state.password
        self._state = state
        self._faults: Condition | Sequence[Condition] = Faults()

    @property
    def auth(self) -> tuple[str, str]:
        """The user name and the password."""
        return self.username, self.password

    @property
    def lock(self) -> threading.RLock:
        """The lock that is held while a request is handled. Hold it to read several values of one instant."""
        return self.engine.lock

    @property
    def requests(self) -> list[RecordedRequest]:
        """The recorded requests, in the order of their responses."""
        return self.app.requests

    @property
    def faults(self) -> Condition | Sequence[Condition]:
        """The condition of the system, or several. Settable at any time.

        A condition is a `Faults`, `Boot`, `IndexFault`, `OddRow`, `SecondResume` or `ServerClock`. Its time and count
        start at the assignment. If several plans cover an exchange, the first plan that has a fault for it decides.
        `Faults()` ends all conditions.
        """
        return self._faults

    @faults.setter
    def faults(self, faults: Condition | Sequence[Condition]) -> None:
        with self.lock:
            conditions = as_tuple(faults)
            self._state.set_conditions(conditions)
            self.app.faults = [plan for c in conditions for plan in c.plans(lists=self._state.supports_listing)]
            self._faults = faults


class FakeOpencast(System):
    """The Opencast of a sandbox."""

    def __init__(self, state: OpencastState) -> None:
        super().__init__(state, application(state))
        self.state = state

    @property
    def jwt(self) -> str:
        """The bearer token that is accepted."""
        return self.state.access.jwt

    @property
    def sessions(self) -> list[str]:
        """Every session that was opened. A client that keeps its cookie opens one session."""
        return list(self.state.access.sessions)

    def seed(self, count: int, *, definitions: Sequence[str] | None = None, age: float = 0.0) -> list[int]:
        """Start `count` workflows, each on its own event, and return their ids.

        The workflows start at different instants before `age` seconds ago, so that about half of them have ended by
        then.
        """
        return self.state.seed(count, definitions=definitions, age=age)

    def define(self, identifier: str, steps: Iterable[Step], **metadata: Any) -> Definition:
        """Add a workflow definition with these steps. `metadata` are fields of `Definition`."""
        return self.state.define(identifier, steps, **metadata)

    def event(self, **metadata: Any) -> str:
        """Add an event and return its id. `metadata` are fields of the event. All other fields get random values."""
        return self.state.event(**metadata)

    def start(self, event: str, definition: str, configuration: dict[str, str] | None = None) -> int:
        """Start a workflow on an event without a request, and return its id."""
        return self.state.start(event, definition, configuration)

    def replace(self, id: int, definition: str = "fast", event: str | None = None) -> None:
        """Reuse the id of a workflow for a new one, as a restored database does. The default is a new event."""
        self.state.replace(id, definition, event)


class FakePreservica(System):
    """The Preservica of a sandbox."""

    def __init__(self, state: PreservicaState) -> None:
        super().__init__(state, state.app)
        self.state = state
        self.tenant: str = state.tenant
        self.shared_secret: str = state.shared_secret

    @property
    def logins(self) -> int:
        """The number of successful logins."""
        return self.state.logins

    @property
    def refreshes(self) -> int:
        """The number of successful refreshes."""
        return self.state.refreshes

    @property
    def starts(self) -> list[str | None]:
        """The correlation id of every start that was executed, in order."""
        return self.state.starts

    def seed(self, count: int, *, contexts: Iterable[str] | None = None, age: float = 0.0) -> list[int]:
        """Start `count` workflows in all contexts or in the given ones, and return their ids.

        The workflows start at different instants before `age` seconds ago, so that about half of them have ended by
        then.
        """
        with self.lock:
            return self.state.seed(count, contexts=contexts, age=age)

    def context(self, name: str, definition: str, type: str, steps: Sequence[Step]) -> str:
        """Add a context whose workflows have these steps, and return its id."""
        with self.lock:
            return self.state.context(name, definition, type, steps)

    def replace(self, id: int, context: str) -> None:
        """Reuse the id of a workflow for a new one in that context, as a restored database does."""
        with self.lock:
            self.state.replace(id, context)

    def revoke(self) -> None:
        """Invalidate every issued token."""
        with self.lock:
            self.state.revoke()
