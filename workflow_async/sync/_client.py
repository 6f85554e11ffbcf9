"""The base class of both synchronous clients: opening, closing, and running coroutine functions."""

from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from workflow_async._core.auth import to_secret
from workflow_async._core.client import Client, service_names
from workflow_async.sync._blocking import Blocking, perform, service
from workflow_async.sync._loop_client import LoopClient
from workflow_async.sync.streams import SyncListing as _  # noqa: F401 - defines the classes of what calls return

C = TypeVar("C", bound=Client)
P = ParamSpec("P")
T = TypeVar("T")

SECRETS = frozenset({"password", "two_factor", "proxy"})
"""Arguments of `from_env` that no traceback may show."""


class SyncClient(Blocking, Generic[C]):
    """A client whose calls block the calling thread. Any number of threads may share it.

    The first call opens it. A process that is forked afterwards opens connections of its own with its first call.
    """

    def __init__(self, make: "partial[C]") -> None:
        client = make()
        self._owner: LoopClient[C] = LoopClient(make, client, type(self).__name__)
        for name in service_names(type(client)):
            setattr(self, name, service(type(getattr(client, name)))(self._owner, name))

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self._owner.url

    def open(self) -> Self:
        """Open the client, and return it.

        Openings are counted, including those by `with`. Each needs its own `close()`, in any thread.
        """
        self._owner.open()
        return self

    def close(self) -> None:
        """Undo one `open()`. The last one closes every connection.

        Calls, waits and watches of other threads raise `ClientClosed` from then on. Closing a client that is not open
        does nothing.
        """
        self._owner.close()

    def run(self, function: Callable[Concatenate[C, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await `function(client, *args, **kwargs)` in the event loop, with the asynchronous client.

        For what has no synchronous form, such as `monitor.poll_once`, and for many calls at the same time.
        """
        result: T = self._call(lambda client: function(client, *args, **kwargs))
        return result

    def _call(self, function: Callable[[Any], Any]) -> Any:
        return self._owner.call(lambda client, portal: perform(function, client, self._owner, portal))

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        made = hasattr(self, "_owner")  # not in the traceback of a constructor that raises
        return f"{type(self).__name__}({self.url!r})" if made else f"{type(self).__name__}(...)"


def from_env(make: Callable[..., Client]) -> Any:
    """Return the synchronous form of a client's `from_env`."""

    def method(cls: type[SyncClient[Any]], **options: Any) -> SyncClient[Any]:
        options = {name: to_secret(value) if name in SECRETS and value else value for name, value in options.items()}
        return cls(partial(make, **options))

    described: Any = update_wrapper(method, make)
    return classmethod(described)
