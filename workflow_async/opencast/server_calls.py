"""Builds the requests about the server and the user of the credentials. Pure."""

from functools import partial

from workflow_async._core.call import Call, Reply
from workflow_async._decode.records import list_of, structure
from workflow_async.opencast.responses import API, CONVERTER, read_record, rows_of
from workflow_async.opencast.server_records import Me, Organization, Version


def get_version() -> Call[Version]:
    """Return the call for the API versions of the server."""
    return Call("GET", "/api/version", partial(read_record, Version), signature=API, name="version")


def get_me() -> Call[Me]:
    """Return the call for the user of the credentials."""
    return Call("GET", "/api/info/me", partial(read_record, Me), signature=API, name="me")


def get_roles() -> Call[tuple[str, ...]]:
    """Return the call for the names of the roles of that user."""
    return Call("GET", "/api/info/me/roles", _read_names, signature=API, name="me")


def get_organization() -> Call[Organization]:
    """Return the call for the organization that the server has chosen."""
    return Call("GET", "/api/info/organization", partial(read_record, Organization), signature=API, name="organization")


def _read_names(reply: Reply) -> tuple[str, ...]:
    return tuple(structure(CONVERTER, [*rows_of(reply)], list_of(str)))
