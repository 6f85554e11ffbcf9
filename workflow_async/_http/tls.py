"""Makes the TLS context of a client: the authorities that it trusts and the certificate that it presents."""

import os
import ssl
from pathlib import Path
from typing import Any, TypeAlias, Union

import certifi
from attrs import frozen

from workflow_async._core.auth import Secret, to_secret
from workflow_async.errors import InvalidArgument

StrPath: TypeAlias = Union[str, "os.PathLike[str]"]
ClientCert: TypeAlias = StrPath | tuple[StrPath, StrPath] | tuple[StrPath, StrPath, str | Secret]
"""A PEM file with a certificate and its key, or both files, or both files and the password of the key."""


@frozen(init=False)
class TLS:
    """The authorities that a client trusts, and the certificate that it presents.

    Certificates and host names are verified in any case. Without `ca_file` and `system_store` certifi's authorities are
    trusted. With one of them only its authorities are trusted, with both those of both. The files are read when a
    client is made.

    Args:
        ca_file: a PEM file with the certificates of authorities, such as that of your organisation.
        client_cert: a PEM file with a client certificate and its key, or `(certificate, key)`, or
            `(certificate, key, password)` if the key is encrypted.
        system_store: trust the authorities of the operating system, as OpenSSL finds them. SSL_CERT_FILE and
            SSL_CERT_DIR replace them.

    Raises:
        InvalidArgument: an argument has the wrong type.
    """

    ca_file: StrPath | None
    client_cert: StrPath | tuple[StrPath, StrPath] | tuple[StrPath, StrPath, Secret] | None
    system_store: bool

    def __init__(
        self,
        *,
        ca_file: StrPath | None = None,
        client_cert: ClientCert | None = None,
        system_store: bool = False,
    ) -> None:
        certificate: Any = _with_secret(client_cert)
        del client_cert  # no local variable holds the password as a text any more
        self.__attrs_init__(ca_file, certificate, system_store)  # pyright: ignore[reportAttributeAccessIssue]
        if ca_file is not None and not _is_path(ca_file):
            raise InvalidArgument("ca_file", "must be the path of a PEM file")
        if not isinstance(system_store, bool):
            raise InvalidArgument("system_store", "must be True or False")
        if certificate is not None:
            _cert_files(certificate)


def tls_context(tls: TLS | None) -> ssl.SSLContext:
    """Return a context with these settings. None trusts certifi's authorities.

    `ssl.create_default_context` would also write the session keys to SSLKEYLOGFILE.

    Raises:
        InvalidArgument: a file cannot be used. The message names the argument and the file, never the password.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = TLS() if tls is None else tls
    if tls.system_store:
        _load_system_store(context)
    if tls.ca_file is not None:
        _load_authorities(context, tls.ca_file)
    elif not tls.system_store:
        context.load_verify_locations(certifi.where())
    if tls.client_cert is not None:
        _load_client_cert(context, *_cert_files(tls.client_cert))
    return context


def checked_context(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return the TLS context. Raise `InvalidArgument` if it does not verify certificates and host names."""
    if not isinstance(context, ssl.SSLContext):
        raise InvalidArgument("ssl_context", 'must be an ssl.SSLContext: for a file give tls=TLS(ca_file="ca.pem")')
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise InvalidArgument("ssl_context", "must verify certificates and host names")
    return context


def checked_tls(tls: TLS, context: ssl.SSLContext | None) -> TLS:
    """Return the TLS settings. Raise `InvalidArgument` for anything but a `TLS`, and for one beside a context."""
    if not isinstance(tls, TLS):
        raise InvalidArgument("tls", 'must be a TLS, such as TLS(ca_file="ca.pem")')
    if context is not None:
        raise InvalidArgument("tls", "must not be given beside ssl_context, which has its own authorities: remove one")
    return tls


# Arguments


def _with_secret(client_cert: Any) -> Any:
    """Return the argument with the password as a `Secret`. Never raises, because a traceback could show the text."""
    if not isinstance(client_cert, tuple | list):
        return client_cert
    return (*client_cert[:2], *map(to_secret, client_cert[2:]))


def _cert_files(client_cert: Any) -> tuple[StrPath, StrPath, Secret | None]:
    """Return the file with the certificate, the file with the key, and the password of the key."""
    match client_cert:
        case (certificate, key) if _is_path(certificate) and _is_path(key):
            return certificate, key, None
        case (certificate, key, Secret() as password) if _is_path(certificate) and _is_path(key):
            if isinstance(password.reveal(), str):
                return certificate, key, password
        case _ if _is_path(client_cert):
            return client_cert, client_cert, None
    raise InvalidArgument("client_cert", "must be a path, (certificate, key) or (certificate, key, password)")


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and bool(os.fspath(value))


# Files


def _load_system_store(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:  # neither of them exists
        raise InvalidArgument(
            "system_store", "finds no authorities: install the package ca-certificates, or set SSL_CERT_FILE"
        )
    context.set_default_verify_paths()


def _load_authorities(context: ssl.SSLContext, path: StrPath) -> None:
    _check_readable("ca_file", path)
    try:
        context.load_verify_locations(os.fspath(path))
    except ssl.SSLError:
        raise InvalidArgument("ca_file", f"has no certificate in PEM format: {os.fspath(path)}") from None


def _load_client_cert(context: ssl.SSLContext, certificate: StrPath, key: StrPath, password: Secret | None) -> None:
    for path in (certificate, key):
        _check_readable("client_cert", path)
    asked = False

    def passphrase() -> str:
        nonlocal asked
        asked = True
        return "" if password is None else password.reveal()

    try:  # without a function OpenSSL would ask at the terminal
        context.load_cert_chain(os.fspath(certificate), os.fspath(key), passphrase)
    except (ssl.SSLError, ValueError) as error:  # ValueError: a password that is too long
        failure = error
    else:
        return
    raise InvalidArgument("client_cert", _unusable(failure, certificate, key, password, encrypted=asked))


def _unusable(error: Exception, certificate: StrPath, key: StrPath, password: Secret | None, *, encrypted: bool) -> str:
    """Return why a certificate and a key cannot be used."""
    if encrypted and password is None:
        return f"has an encrypted key: give (certificate, key, password) for {os.fspath(key)}"
    if encrypted:
        return f"has a key that this password does not decrypt: {os.fspath(key)}"
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return f"has a key that does not belong to the certificate: {os.fspath(certificate)}, {os.fspath(key)}"
    files = dict.fromkeys(os.fspath(path) for path in (certificate, key))
    return f"has no certificate or no key in PEM format: {', '.join(files)}"


def _check_readable(argument: str, path: StrPath) -> None:
    try:
        with Path(path).open("rb"):
            return
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or "not a path"
    raise InvalidArgument(argument, f"cannot be read, {reason}: {os.fspath(path)!r}")
