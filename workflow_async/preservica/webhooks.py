"""Receives the webhooks of Preservica: answers the challenge, verifies signatures, and checks what is watched.

A webhook tells of entities, such as `INGEST_FAILED`. None tells that a workflow has ended, and none names a workflow.
See tests/contract/preservica.md, section 2.3.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from workflow_async._core.asgi import Receive, Request, Response, Scope, Send, serve
from workflow_async._core.auth import Secret, checked_password, to_secret
from workflow_async._decode.json import json_tree
from workflow_async._records.record import Record
from workflow_async.errors import DecodeError, InvalidArgument

if TYPE_CHECKING:
    from workflow_async.preservica.client import PreservicaClient

__all__ = ["EntityEvent", "WebhookApp", "answer_challenge", "events", "verify"]

PREFIX = b"preservica-webhook-auth"
"""Stands before the body in the text that is signed."""
SIGNATURE_HEADER = "preservica-signature"
CHALLENGE = "challengeCode"
ACCEPTED = Response(status=204)
WRONG_METHOD = Response(status=405, body=b"send a POST")
WRONG_SIGNATURE = Response(status=401, body=b"the header Preservica-Signature does not fit the body and the secret")
UNREADABLE = Response(status=400, body=b"the body must be a JSON object with a list of events")


@frozen(kw_only=True)
class EntityEvent(Record):
    """What a webhook tells of one entity."""

    entity_ref: str
    """The id of the entity."""
    entity_type: str
    """The server's word for its type: SO for a folder, IO for an asset, CO for a content object."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
    """Everything else that the event holds."""


def answer_challenge(code: str, secret: str | Secret) -> dict[str, str]:
    """Return the JSON object that answers the challenge with which Preservica registers a webhook.

    Args:
        code: the query parameter `challengeCode` of the request.
        secret: the secret of the subscription.
    """
    secret = to_secret(secret)  # see `Secret`
    return {CHALLENGE: code, "challengeResponse": _sign(code.encode(), secret)}


def verify(body: bytes, signature: str, secret: str | Secret) -> bool:
    """Return True if the signature fits the body and the secret. Takes the same time wherever they differ.

    Args:
        body: the body, as received.
        signature: the header `Preservica-Signature`.
        secret: the secret of the subscription.
    """
    secret = to_secret(secret)  # see `Secret`
    return hmac.compare_digest(_sign(PREFIX + body, secret).encode(), signature.encode("utf-8", "replace"))


def events(body: bytes) -> tuple[EntityEvent, ...]:
    """Return the events of a webhook's body. Verify its signature before.

    Raises:
        DecodeError: the body is not a JSON object with a list of events, each with an entity's id and type.
    """
    tree = json_tree(body)
    rows = tree.get("events") if isinstance(tree, dict) else None
    if not isinstance(rows, list):
        raise DecodeError("$.events: expected a list")
    return tuple(_event(place, row) for place, row in enumerate(rows))


class WebhookApp:
    """An ASGI application that checks every watched workflow as soon as a verified webhook comes.

    A webhook only makes the next check earlier, at most once a second. It never sets a state. Register the address of
    this application as a webhook. The application answers the challenge.

    Args:
        client: the client that watches the workflows. The application must run in its event loop.
        secret: the secret of the subscription.

    Raises:
        InvalidArgument: the secret is empty, or holds control characters.
    """

    def __init__(self, client: "PreservicaClient", *, secret: str | Secret) -> None:
        secret = to_secret(secret)  # see `Secret`
        self._client = client
        if not checked_password("secret", secret):
            raise InvalidArgument("secret", "must not be empty")
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request: 200 for a challenge, 204 for a webhook, 401 for a wrong signature, 413 if too large."""
        await serve(scope, receive, send, self._respond)

    def _respond(self, request: Request) -> Response:
        if request.method != "POST":
            return WRONG_METHOD
        code = request.parameter(CHALLENGE)
        if code:
            body = json.dumps(answer_challenge(code, self._secret)).encode()
            return Response(status=200, body=body, content_type="application/json")
        if not verify(request.body, request.header(SIGNATURE_HEADER), self._secret):
            return WRONG_SIGNATURE
        try:
            events(request.body)
        except DecodeError:
            return UNREADABLE
        self._client.workflows.wake()
        return ACCEPTED


def _event(place: int, row: Any) -> EntityEvent:
    if not isinstance(row, dict):
        raise DecodeError(f"$.events[{place}]: expected an object")
    rest = dict(row)
    ref, kind = rest.pop("entityRef", None), rest.pop("entityType", None)
    for key, value in (("entityRef", ref), ("entityType", kind)):
        if not isinstance(value, str):
            raise DecodeError(f"$.events[{place}].{key}: expected a text")
    return EntityEvent(entity_ref=ref, entity_type=kind, extra=rest)


def _sign(message: bytes, secret: Secret) -> str:
    """Return the HMAC-SHA-256 of a message in hexadecimal, as pyPreservica 4.2.2 computes it (webHooksAPI.py)."""
    return hmac.new(secret.reveal().encode(), message, hashlib.sha256).hexdigest()
