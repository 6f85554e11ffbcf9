"""Stops a client from sending credentials again that the server has refused and never accepted."""

import copy
from http import HTTPStatus

from attrs import define, field

from workflow_async.errors import CallError, Unauthorized

REFUSED_AGAIN = "these credentials are not tried again: open a new client with others"


@define
class LockoutGuard:
    """The memory of refused credentials.

    Servers lock an account after a few wrong passwords, so a client sends wrong credentials only once.
    """

    _accepted: bool = field(default=False, init=False)
    """True once the server has answered a call with success."""
    _refused: CallError | None = field(default=None, init=False)

    def record_success(self) -> None:
        """Record that the server accepted the credentials."""
        self._accepted = True

    def check(self) -> None:
        """Raise the refusal again if the credentials were refused and never accepted."""
        if self._refused is not None and not self._accepted:
            raise copy.copy(self._refused)

    def record_failure(self, error: CallError, *, fixed: bool) -> None:
        """Remember a 401 to credentials that were never accepted and cannot change.

        A redirect to a login page may be temporary, so it is not remembered.
        """
        if not isinstance(error, Unauthorized) or error.status != HTTPStatus.UNAUTHORIZED:
            return
        if fixed and not self._accepted:
            error.message = f"{error.message}; {REFUSED_AGAIN}".lstrip("; ")
            self._refused = copy.copy(error)
            self._refused.at_login = True
