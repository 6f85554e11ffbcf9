"""The seam between the library and what carries its bytes: a request in, a whole reply out."""

from typing import Protocol

from attrs import field, frozen

from workflow_async._core.auth import Headers
from workflow_async._core.call import Reply


@frozen
class Request:
    """A request as it goes out."""

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    new_connection: bool = False
    """On a connection of its own, so that a stale one cannot make its fate unknown."""


class Backend(Protocol):
    """The seam: a request in, a whole reply out; `TransportError` where there is none."""

    async def __call__(self, request: Request) -> Reply: ...
    async def reset(self) -> None:
        """Forget every connection: one of them has answered out of turn."""

    async def aclose(self) -> None: ...
