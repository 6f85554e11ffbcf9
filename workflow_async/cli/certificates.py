"""Examines the TLS certificate of a server."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.streams.tls import TLSAttribute

from workflow_async._core.network_guard import is_network_blocked
from workflow_async._core.origin import Origin
from workflow_async._http.tls import tls_context
from workflow_async.cli.target import Target, tls_of

HTTPS_PORT = 443
SECONDS = 10.0
"""The time limit for a handshake."""
SHORT_DAYS = 21
"""A certificate that is valid for fewer days is worth a word."""


async def certificate_text(url: str, target: Target, now: datetime) -> str:
    """Return who has issued the certificate of a server, and until when it is valid. It is verified."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "none: requests are not encrypted"
    if target.proxy is not None:
        return "not examined: requests go through a proxy"
    if is_network_blocked(Origin(url)):
        return "not examined: the environment forbids requests to other hosts"
    host = parts.hostname or ""
    try:
        with anyio.fail_after(SECONDS):
            return describe(await _certificate(host, parts.port or HTTPS_PORT, target), now)
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream) as error:  # OSError includes ssl's
        return f"not examined: {type(error).__name__}"


async def _certificate(host: str, port: int, target: Target) -> Any:
    """Return the certificate of a server, after a handshake that verifies it."""
    context = tls_context(tls_of(target))
    stream = await anyio.connect_tcp(host, port, tls_hostname=host, ssl_context=context, tls_standard_compatible=False)
    async with stream:
        return stream.extra(TLSAttribute.peer_certificate)  # noqa: S610 - not Django's


def describe(certificate: Any, now: datetime) -> str:
    """Return the issuer of a certificate and the end of its validity."""
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (end - now).days
    warning = ": renew it" if days < SHORT_DAYS else ""
    return f"issued by {issuer(certificate)}, valid until {end:%Y-%m-%d} ({days} days{warning})"


def issuer(certificate: Mapping[str, Any]) -> str:
    """Return the organization and the name of the authority."""
    names = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    found = [names[key] for key in ("organizationName", "commonName") if key in names]
    return ", ".join(found) or "an unnamed authority"
