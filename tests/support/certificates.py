"""TLS contexts for both sides of a connection to this machine, by an authority that the test makes."""

import ssl
from typing import Any

import trustme


def server_side(authority: trustme.CA, name: str = "127.0.0.1", **terms: Any) -> ssl.SSLContext:
    """Return the context of a server whose certificate is for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **terms).configure_cert(context)
    return context


def client_side(authority: trustme.CA) -> ssl.SSLContext:
    """Return the context of a client that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
