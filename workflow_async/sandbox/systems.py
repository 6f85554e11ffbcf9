"""The two systems as a test holds them: where they are, how to log in, what is in them, what they were asked."""

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
    """What the two worlds have in common."""

    @property
    def engine(self) -> Engine:
        """What makes the workflows advance."""
        ...

    @property
    def username(self) -> str:
        """An account that may do everything."""
        ...

    @property
    def password(self) -> str:
        """The password of that account."""
        ...

    @property
    def sandbox_time(self) -> TimeSource:
        """The sandbox's time, whatever the server's clock says."""
        ...

    @property
    def supports_listing(self) -> bool:
        """True if workflows are listed from an index."""
        ...

    def set_conditions(self, conditions: Sequence[Condition]) -> None:
        """Replace the current conditions by these."""
        ...


class System:
    """One system of a sandbox."""

    def __init__(self, state: ServerState, app: ASGIApp) -> None:
        self.url = ""
        """Where it is served; "" before the sandbox is entered."""
        self.app = FaultMiddleware(app, state.engine.lock, state.sandbox_time, state.engine.clock)
        """It as an ASGI application, for a client that needs no socket."""
        self.engine = state.engine
        self.username = state.username
        self.password = state.password
        self._state = state
        self._faults: Condition | Sequence[Condition] = Faults()

    @property
    def auth(self) -> tuple[str, str]:
        """User name and password."""
        return self.username, self.password

    @property
    def lock(self) -> threading.RLock:
        """Held while a request is answered: hold it to look at several things at one instant."""
        return self.engine.lock

    @property
    def requests(self) -> list[RecordedRequest]:
        """What it was asked, in the order of the answers."""
        return self.app.requests

    @property
    def faults(self) -> Condition | Sequence[Condition]:
        """The condition of the system, or several. Settable at any time.

        A condition is a `Faults`, `Boot`, `IndexFault`, `OddRow`, `SecondResume` or `ServerClock`. Its time and
        count start at the assignment. If several plans cover an exchange, the first that has a fault for it decides.
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
        """The bearer token that it accepts."""
        return self.state.access.jwt

    @property
    def sessions(self) -> list[str]:
        """Every session it has opened: a client that keeps its cookie has one."""
        return list(self.state.access.sessions)

    def seed(self, count: int, *, definitions: Sequence[str] | None = None, age: float = 0.0) -> list[int]:
        """Start that many workflows, each on an event of its own, and return their ids.

        They began at different moments before `age` seconds ago, so that about half of them are at their end.
        """
        return self.state.seed(count, definitions=definitions, age=age)

    def define(self, identifier: str, steps: Iterable[Step], **metadata: Any) -> Definition:
        """Add a workflow definition with these steps; `metadata` are fields of `Definition`."""
        return self.state.define(identifier, steps, **metadata)

    def event(self, **metadata: Any) -> str:
        """Add an event and return its identifier; `metadata` are fields of `WatchEvent`, the rest is made up."""
        return self.state.event(**metadata)

    def start(self, event: str, definition: str, configuration: dict[str, str] | None = None) -> int:
        """Start a workflow on an event, past the API, and return its id."""
        return self.state.start(event, definition, configuration)

    def replace(self, id: int, definition: str = "fast", event: str | None = None) -> None:
        """Reuse the id of a workflow for a new one, as a restored database does. The event is a new one by default."""
        self.state.replace(id, definition, event)


class FakePreservica(System):
    """The Preservica of a sandbox."""

    def __init__(self, state: PreservicaState) -> None:
        super().__init__(state, state.app)
        self.state = state
        self.tenant = state.tenant
        self.shared_secret = state.shared_secret

    @property
    def logins(self) -> int:
        """How often somebody has logged in with success."""
        return self.state.logins

    @property
    def refreshes(self) -> int:
        """How often a refresh token was traded with success."""
        return self.state.refreshes

    @property
    def starts(self) -> list[str | None]:
        """The correlation id of every start that was carried out, in order."""
        return self.state.starts

    def seed(self, count: int, *, contexts: Iterable[str] | None = None, age: float = 0.0) -> list[int]:
        """Start that many workflows over all contexts or those ids, and return their ids.

        They began at different moments before `age` seconds ago, so that about half of them are at their end.
        """
        with self.lock:
            return self.state.seed(count, contexts=contexts, age=age)

    def context(self, name: str, definition: str, type: str, steps: Sequence[Step]) -> str:
        """Set up a context whose workflows take these steps, and return its id."""
        with self.lock:
            return self.state.context(name, definition, type, steps)

    def replace(self, id: int, context: str) -> None:
        """Reuse the id of a workflow for a new one in that context, as a restored database does."""
        with self.lock:
            self.state.replace(id, context)

    def revoke(self) -> None:
        """Make every token that was issued stale at once."""
        with self.lock:
            self.state.revoke()
