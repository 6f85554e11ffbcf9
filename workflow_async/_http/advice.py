"""Adds to an error of a connection what to do about it: certificates, client certificates, proxies. Pure."""

import ssl
import sys
from collections.abc import Sequence

from workflow_async._http.proxy import Proxy
from workflow_async.errors import ProxyRefused, TransportError

HTTPCORE_PROXY_ERRORS = frozenset({("httpcore", "ProxyError"), ("httpcore2", "ProxyError")})
PROXY_AUTHENTICATION_REQUIRED = 407

UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""The codes of OpenSSL for a certificate whose authority is not trusted. See X509_STORE_CTX_get_error(3)."""
OTHER_HOST = frozenset({62, 64})
NOT_YET_VALID, EXPIRED = 9, 10

TRUST = 'give tls=TLS(ca_file="ca.pem") with that of your organisation, or tls=TLS(system_store=True)'
TRUST_BORROWED = "give the AsyncClient in http= a context that trusts it"
PRESENT = "give tls=TLS(client_cert=(certificate, key))"
PRESENT_BORROWED = "give the AsyncClient in http= a context with one"

NO_CLIENT_CERT = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_NO_CERTIFICATE"})
BAD_CLIENT_CERT = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""The reasons in which OpenSSL reports an alert of the server. A server never sees its own certificate as unknown."""
HANDSHAKE_FAILED = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""The alert of TLS 1.2 for a missing client certificate, among others."""


def with_advice(
    error: TransportError, chain: Sequence[BaseException], *, proxy: Proxy | None = None, borrowed: bool = False
) -> TransportError:
    """Return the error with what to do in its reason.

    Args:
        error: the error for the exception chain.
        chain: the exception and its causes.
        proxy: the proxy of the client, if it has one.
        borrowed: True if the caller owns the HTTP client, which has the TLS settings then.
    """
    advice = _tls_advice(chain, borrowed=borrowed)
    reason = f"{error.reason}; {advice}" if advice else error.reason
    if proxy is None or error.sent:
        return with_reason(error, reason)
    status = _tunnel_status(chain)
    if status is None:
        return with_reason(error, f"{reason}; the proxy is {proxy.url}")
    reason = f"the proxy {proxy.url} opened no tunnel: status {status}{_remedy(status, proxy)}"
    return ProxyRefused(reason, status=status)


def with_reason(error: TransportError, reason: str) -> TransportError:
    """Return the error with another reason."""
    error.reason, error.args = reason, (reason,)
    return error


def _tls_advice(chain: Sequence[BaseException], *, borrowed: bool) -> str:
    """Return what to do about a failed TLS handshake. "" if that is unknown."""
    for cause in chain:  # aiohttp's errors are errors of ssl too, but without the attributes
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_code"):
            return _certificate_advice(cause.verify_code, borrowed=borrowed)
        if isinstance(cause, ssl.SSLError) and hasattr(cause, "reason"):
            return _alert_advice(cause.reason, borrowed=borrowed)
    return ""


def _certificate_advice(code: int, *, borrowed: bool) -> str:
    if code in UNKNOWN_AUTHORITY:
        return f"its authority is not trusted: {TRUST_BORROWED if borrowed else TRUST}"
    if code in OTHER_HOST:
        return "the certificate is for another host: use a host name of the certificate in the URL"
    if code == EXPIRED:
        return "the certificate has expired: renew it on the server, or correct the clock of this machine"
    if code == NOT_YET_VALID:
        return "the certificate is not valid yet: correct the clock of this machine"
    return ""


def _alert_advice(reason: str | None, *, borrowed: bool) -> str:
    present = PRESENT_BORROWED if borrowed else PRESENT
    if reason in NO_CLIENT_CERT:
        return f"the server demands a client certificate: {present}"
    if reason in BAD_CLIENT_CERT:
        return f"the server refuses this client certificate, or demands one: {present}"
    if reason == HANDSHAKE_FAILED:
        return f"the server may demand a client certificate: {present}"
    return ""


def _tunnel_status(chain: Sequence[BaseException]) -> int | None:
    """Return the status with which a proxy refused a tunnel. None if that did not happen."""
    aiohttp = sys.modules.get("aiohttp")
    for cause in chain:
        if aiohttp is not None and isinstance(cause, aiohttp.ClientHttpProxyError):
            return int(getattr(cause, "status", 0))
        kind = type(cause)
        if (kind.__module__.partition(".")[0], kind.__name__) in HTTPCORE_PROXY_ERRORS:
            number = str(cause).partition(" ")[0]
            return int(number) if number.isdecimal() else None
    return None


def _remedy(status: int, proxy: Proxy) -> str:
    if status != PROXY_AUTHENTICATION_REQUIRED:
        return ""
    if proxy.username is None:
        return '; give its user name and password: proxy="http://user:password@host:port"'
    return "; check the user name and the password in proxy="
