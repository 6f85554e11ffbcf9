"""Preservica as an ASGI application: contexts, workflows, processes and monitors behind real tokens."""

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware

from workflow_async.sandbox.clock import SkewedClock
from workflow_async.sandbox.conditions import BrokenRecordError, Condition, OddRows, ServerClock
from workflow_async.sandbox.engine import Engine, Step, TimeSource
from workflow_async.sandbox.page_responses import PageResponses
from workflow_async.sandbox.preservica.auth import AuthMiddleware, TokenService, refusal_response, unwritable_record
from workflow_async.sandbox.preservica.monitoring import MonitorService
from workflow_async.sandbox.preservica.processes import ProcessService
from workflow_async.sandbox.preservica.state import Archive
from workflow_async.sandbox.preservica.tokens import Accounts, RefusalError
from workflow_async.sandbox.preservica.window import PAGING
from workflow_async.sandbox.preservica.workflows import WorkflowService
from workflow_async.sandbox.preservica.xml import Renderer

__all__ = ["PreservicaState"]

USERNAME, PASSWORD = "manager@example.org", "preservica-sandbox"
TENANT, SHARED_SECRET = "SANDBOX", "shared-by-the-sandbox"


class PreservicaState:
    """One tenant of a Preservica, held in memory, with the time of the given clock.

    `page_cap` is the largest number of rows of a list of instances. `sparse` leaves out the optional elements of every
    instance with an odd id. `refresh_works=False` refuses every refresh token, as some real servers do.
    """

    username: str = USERNAME
    password: str = PASSWORD
    tenant: str = TENANT
    shared_secret: str = SHARED_SECRET

    def __init__(
        self,
        clock: TimeSource,
        seed: int = 0,
        *,
        token_minutes: int = 15,
        two_factor: str | None = None,
        page_cap: int = 100,
        sparse: bool = False,
        refresh_works: bool = True,
        codes_once: bool = False,
    ) -> None:
        self.sandbox_time = clock
        self.clock: SkewedClock = SkewedClock(clock)
        self.archive: Archive = Archive(self.clock, creator=self.username, seed=seed)
        self.accounts: Accounts = Accounts(
            self.clock,
            self.username,
            self.password,
            self.tenant,
            self.shared_secret,
            seed=seed,
            minutes=token_minutes,
            two_factor=two_factor,
            refresh_works=refresh_works,
            codes_once=codes_once,
        )
        self.app: Starlette = self._make_app(Renderer(self.archive, sparse), page_cap)

    @property
    def engine(self) -> Engine:
        """The engine that runs the workflows."""
        return self.archive.engine

    @property
    def supports_listing(self) -> bool:
        """False: no index serves a list of workflows."""
        return False

    def set_conditions(self, conditions: Sequence[Condition]) -> None:
        """Replace the current conditions."""
        self.archive.odd_rows = OddRows.from_conditions(conditions)
        ahead = next((c.ahead for c in conditions if isinstance(c, ServerClock)), 0.0)
        self.engine.postpone(ahead - self.clock.ahead)
        self.clock.ahead = ahead

    @property
    def starts(self) -> list[str | None]:
        """The correlation id of every start that was executed, in order."""
        return self.archive.starts

    @property
    def logins(self) -> int:
        """The number of successful logins."""
        return self.accounts.logins

    @property
    def refreshes(self) -> int:
        """The number of successful refreshes."""
        return self.accounts.refreshes

    def seed(self, count: int, *, contexts: Iterable[str] | None = None, age: float = 0.0) -> list[int]:
        """Start workflows in all contexts or in the given ones, and return their ids, oldest first.

        The workflows start at different instants before `age` seconds ago, so that about half of them have ended by
        then.
        """
        return self.archive.seed_workflows(count, contexts, age)

    def context(self, name: str, definition: str, type: str, steps: Sequence[Step]) -> str:
        """Add a context whose workflows have these steps, and return its id."""
        return self.archive.add_context(name, definition, type, steps)

    def replace(self, id: int, context: str) -> None:
        """Reuse the id of a workflow for a new one in that context."""
        self.archive.replace(id, self.archive.contexts[context])

    def revoke(self) -> None:
        """Invalidate every issued token."""
        self.accounts.revoke()

    def _make_app(self, renderer: Renderer, page_cap: int) -> Starlette:
        pages = PageResponses(PAGING)
        services = (
            TokenService(self.accounts),
            WorkflowService(self.archive, pages, renderer, page_cap),
            ProcessService(),
            MonitorService(self.archive, pages),
        )
        app = Starlette(
            routes=[route for service in services for route in service.routes()],
            middleware=[Middleware(AuthMiddleware, accounts=self.accounts)],
            exception_handlers={RefusalError: refusal_response, BrokenRecordError: unwritable_record},
        )
        app.router.redirect_slashes = False
        return app
