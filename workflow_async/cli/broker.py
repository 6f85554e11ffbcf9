"""The NATS server that the workers of a distribution share: its options, and the connection to it."""

import importlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

import typer
from attrs import field, frozen

from workflow_async.cli.exit_codes import BrokerError, BrokerRefusal, UsageError
from workflow_async.cli.messages import reason_text
from workflow_async.errors import CoordinatorUnavailable

if TYPE_CHECKING:
    from workflow_async.distributed.nats import NatsCoordinator

PANEL = "Distribution"
"""The heading of these options in the help."""
VARIABLE = "NATS_URL"
SCHEMES = frozenset({"nats", "tls", "ws", "wss"})
REFUSALS = ("authorization", "authentication")
"""Words in the errors of a NATS server that refuses a user."""

NatsOption = Annotated[
    str | None,
    typer.Option(
        "--nats", metavar="URL", help=f"Such as nats://127.0.0.1:4222. Default: {VARIABLE}.", rich_help_panel=PANEL
    ),
]
NameOption = Annotated[
    str, typer.Option("--name", help="The name of the distribution, the same for all workers.", rich_help_panel=PANEL)
]
LeaseOption = Annotated[
    float,
    typer.Option(
        "--lease",
        min=0.5,
        help="Seconds after which a lost worker is replaced. The same for all.",
        rich_help_panel=PANEL,
    ),
]
DEFAULT_NAME = "workflows"


@frozen
class Broker:
    """A distribution in a NATS server, or in several servers of a cluster."""

    url: str = field(repr=False)
    """URLs that are separated by commas. They may contain a password."""
    name: str
    lease_seconds: float

    @classmethod
    def from_options(cls, url: str | None, name: str, lease_seconds: float, environment: Mapping[str, str]) -> Self:
        """Return the broker that the options or the environment name. Raise `UsageError` if that is not possible."""
        if url is not None and "@" in url:
            raise UsageError(f"--nats would show its password to other users: set {VARIABLE} instead")
        found = url or environment.get(VARIABLE)
        if not found:
            raise UsageError(f"no NATS server: give --nats nats://127.0.0.1:4222, or set {VARIABLE}")
        if not all(map(_is_usable, found.split(","))):
            raise UsageError(f"{'--nats' if url else VARIABLE}: must be a URL such as nats://broker.example.org:4222")
        _nats_library()
        return cls(found, name, lease_seconds)

    @property
    def shown(self) -> str:
        """The URLs without user names and passwords."""
        return ",".join(_without_user(urlsplit(each)) for each in self.url.split(","))

    @asynccontextmanager
    async def coordinator(self) -> AsyncIterator["NatsCoordinator"]:
        """Connect to NATS, and yield an open coordinator.

        Raises:
            BrokerError: NATS does not answer.
            BrokerRefusal: NATS refuses the user.
        """
        library = _nats_library()
        connection: Any = importlib.import_module("workflow_async.distributed.nats.connection")
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(connection.connected(self.url, self.lease_seconds))
                opened = library.NatsCoordinator(client, self.name, lease_seconds=self.lease_seconds)
                await stack.enter_async_context(opened)
            except CoordinatorUnavailable as error:
                raise self._error(error) from None
            yield opened

    def _error(self, error: CoordinatorUnavailable) -> BrokerError:
        cause = str(error.__cause__)
        if any(word in cause.lower() for word in REFUSALS):
            return BrokerRefusal(f"NATS at {self.shown} refuses the user: set {VARIABLE} to nats://USER:PASSWORD@HOST")
        if isinstance(error.__cause__, OSError) and cause:
            return BrokerError(f"no connection to NATS at {self.shown}: {reason_text(cause)}")
        return BrokerError(f"NATS at {self.shown} cannot be used: {error.why}")


def default_broker(url: str | None, name: str, lease_seconds: float) -> Broker:
    """Return the broker that the options or the variables of this process name."""
    return Broker.from_options(url, name, lease_seconds, os.environ)


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _without_user(url: SplitResult) -> str:
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def _nats_library() -> Any:
    """Import and return the package that talks to NATS. Raise `UsageError` if the extra `[nats]` is not installed."""
    try:
        return importlib.import_module("workflow_async.distributed.nats")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nats":
            raise
        raise UsageError("this command needs the extra [nats]: pip install 'workflow-async[nats]'") from None
