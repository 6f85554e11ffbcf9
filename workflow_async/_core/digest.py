"""HTTP Digest. The algorithm is httpx's, which is imported when the first `Digest` is made."""

from typing import TYPE_CHECKING

from attrs import define, field

from workflow_async._core.auth import Headers, Refusable, Secret, checked_name, checked_password, to_secret
from workflow_async._core.call import Reply

if TYPE_CHECKING:
    import httpx


@define(init=False)
class Digest:
    """User name and password for HTTP Digest, which does not send the password. For Opencast's system account.

    See tests/contract/opencast.md, section 7.1.
    """

    username: str
    password: Secret = field(repr=False)
    _httpx_auth: "httpx.DigestAuth" = field(init=False, repr=False)
    _has_answered: bool = field(default=False, init=False)

    def __init__(self, username: str, password: str | Secret) -> None:
        from httpx import DigestAuth

        password = to_secret(password)  # see `Secret`
        self.__attrs_init__(username, password)  # pyright: ignore[reportAttributeAccessIssue]
        self._httpx_auth = DigestAuth(checked_name("username", username), checked_password("password", password))

    def refusable(self, sent: Headers) -> Refusable | None:
        """Return the user once a challenge was answered. A 401 before that says nothing about the password."""
        return Refusable(self.username, "open a new client with others", self.username) if self._has_answered else None

    @property
    def renews_on_redirect(self) -> bool:
        """False: there is no other password."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """Return the answer to the last challenge, if there was one, and the header that asks for a challenge."""
        from httpx import Request

        request = Request(method, url)
        next(self._httpx_auth.sync_auth_flow(request))
        authorization = request.headers.get("authorization")
        return (("x-requested-auth", "Digest"), *((("authorization", authorization),) if authorization else ()))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Use the challenge of a 401. Return False if there is none, or none that httpx can use."""
        from httpx import DigestAuth, ProtocolError, Request, Response

        httpx_auth = DigestAuth(self.username, self.password.reveal())
        flow = httpx_auth.sync_auth_flow(Request(method, url))
        request = next(flow)
        try:
            flow.send(Response(reply.status, headers=list(reply.headers.items()), request=request))
        except (StopIteration, ProtocolError, ValueError, LookupError, NotImplementedError):
            return False
        self._has_answered = True
        self._httpx_auth = httpx_auth  # only now: an unusable challenge must not replace a usable one
        return True
