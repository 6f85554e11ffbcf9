"""Receives the notifications of Opencast's `http-notify` operation, and checks the workflow they name.

The operation sends a form with the field `workflowInstanceId`. It takes 200, 202 and 204 for success, and tries again
after anything else. See https://docs.opencast.org/r/21.x/admin/workflowoperationhandlers/httpnotify-woh/.
"""

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from workflow_async._core.asgi import Receive, Request, Response, Scope, Send, serve
from workflow_async._core.auth import Secret, checked_header, to_secret
from workflow_async._core.call import parse_id
from workflow_async.errors import DecodeError, InvalidArgument

if TYPE_CHECKING:
    from workflow_async.opencast.client import OpencastClient

__all__ = ["WebhookApp", "workflow_id"]

FIELD = "workflowInstanceId"
MIN_SECRET = 16
"""Characters of a secret. A shorter secret can be guessed."""
ACCEPTED = Response(status=204)
NOT_FOUND = Response(status=404, body=b"not found")
WRONG_METHOD = Response(status=405, body=b"send a POST or a PUT")
NO_ID = Response(status=400, body=b"the form field workflowInstanceId must hold the id of a workflow")


def workflow_id(body: bytes) -> int:
    """Return the id of the workflow that a notification of `http-notify` is about.

    Args:
        body: the form, as received.

    Raises:
        DecodeError: the form names no workflow.
    """
    try:
        words = parse_qs(body.decode("ascii"), max_num_fields=20).get(FIELD, [])
        return parse_id(FIELD, words[0])
    except (ValueError, IndexError, InvalidArgument):
        raise DecodeError(f"{FIELD}: expected the id of a workflow") from None


class WebhookApp:
    """An ASGI application that checks a watched workflow as soon as Opencast's `http-notify` operation names it.

    A notification only makes the next check earlier. It never sets a state, so a lost notification delays nothing
    further, and a forged one costs at most one request per second and workflow. Set the `url` of the operation to the
    address of this application, followed by the secret, such as https://service.example.org/hooks/SECRET.

    Args:
        client: the client that watches the workflows. The application must run in its event loop.
        secret: the last part of the path. Use at least 16 random characters.

    Raises:
        InvalidArgument: the secret is shorter than 16 characters, or cannot be a part of a path.

    Source: https://docs.opencast.org/r/21.x/admin/workflowoperationhandlers/httpnotify-woh/.
    """

    def __init__(self, client: "OpencastClient", *, secret: str | Secret) -> None:
        secret = to_secret(secret)  # see `Secret`
        self._client = client
        self._secret = _checked(secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request: 204 for a notification, 404 without the secret, 400 without an id, 413 if too large."""
        await serve(scope, receive, send, self._respond)

    def _respond(self, request: Request) -> Response:
        last = request.path.rpartition("/")[2]
        if not hmac.compare_digest(last.encode(), self._secret.reveal().encode()):
            return NOT_FOUND
        if request.method not in {"POST", "PUT"}:
            return WRONG_METHOD
        try:
            id = workflow_id(request.body)
        except DecodeError:
            return NO_ID
        self._client.workflows.wake(id)
        return ACCEPTED


def _checked(secret: Secret) -> Secret:
    """Return the secret. Raise `InvalidArgument` if it is too short or cannot be a part of a path."""
    text = checked_header("secret", secret.reveal())
    short, unfit = len(text) < MIN_SECRET, not set("/?#%").isdisjoint(text)
    del text  # see `Secret`
    if short or unfit:
        raise InvalidArgument("secret", f"must have at least {MIN_SECRET} characters, and none of / ? # %")
    return secret
