"""Stops a client from sending credentials again that the server has refused and never accepted."""

import copy
from http import HTTPStatus

from attrs import define, field

from workflow_async._core.auth import Refusable
from workflow_async.errors import CallError, Unauthorized


@define
class LockoutGuard:
    """The memory of refused credentials.

    Servers lock an account after a few wrong passwords, so a client sends wrong credentials only once. Other
    credentials are sent.
    """

    _accepted: Refusable | None = field(default=None, init=False)
    """The credentials of the last successful call."""
    _refused: Refusable | None = field(default=None, init=False)
    _refusal: CallError = field(factory=lambda: Unauthorized(HTTPStatus.UNAUTHORIZED), init=False)
    """The error to raise in place of sending the refused credentials again."""

    def record_success(self, sent: Refusable | None) -> None:
        """Record that the server accepted these credentials."""
        self._accepted = sent
        if self._refused == sent:
            self._refused = None

    def check(self, sent: Refusable | None) -> None:
        """Raise the refusal again if these credentials were refused and never accepted."""
        if sent is not None and sent == self._refused:
            raise copy.copy(self._refusal)

    def record_failure(self, error: CallError, sent: Refusable | None) -> None:
        """Remember a 401 to credentials that were never accepted and cannot change.

        A redirect to a login page may be temporary, so it is not remembered.
        """
        if not isinstance(error, Unauthorized) or error.status != HTTPStatus.UNAUTHORIZED:
            return
        if sent is not None and sent != self._accepted:
            error.username = sent.username
            error.message = f"{error.message}; these credentials are not tried again: {sent.advice}".lstrip("; ")
            self._refused, self._refusal = sent, copy.copy(error)
            self._refusal.at_login = True
