"""Finds the credentials of an Opencast in arguments and the environment."""

import os

from attrs import field, frozen

from workflow_async._core.auth import Secret
from workflow_async.errors import InvalidArgument

VARIABLES = {"url": "OPENCAST_URL", "username": "OPENCAST_USERNAME", "password": "OPENCAST_PASSWORD"}
"""The environment variable of each value."""


@frozen(kw_only=True)
class Credentials:
    """A server, and the user name and password for it."""

    url: str
    username: str
    password: Secret = field(repr=False)


def find_credentials(url: str | None, username: str | None, password: Secret | None) -> Credentials:
    """Return each value from its argument, else from its variable.

    Raises:
        InvalidArgument: a value is missing.
    """
    return Credentials(
        url=_required("url") if url is None else url,
        username=_required("username") if username is None else username,
        password=_required_password() if password is None else password,
    )


def from_variable(name: str) -> str | None:
    """Return the value of a variable. None if the variable is unset or empty."""
    return os.environ.get(VARIABLES[name]) or None


def _required(name: str) -> str:
    value = from_variable(name)
    if value is None:
        raise _missing(name)
    return value


def _required_password() -> Secret:
    secret = Secret(from_variable("password") or "")
    if not secret.reveal():
        raise _missing("password")
    return secret


def _missing(name: str) -> InvalidArgument:
    return InvalidArgument(name, f"is missing: give {name}=, or set {VARIABLES[name]}")
