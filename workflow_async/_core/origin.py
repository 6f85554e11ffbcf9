"""Checks the base URL of a client and builds every request URL from it. Pure."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import SplitResult, urlencode, urlsplit

from attrs import frozen

from workflow_async._core.call import Params
from workflow_async.errors import InvalidArgument

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine."""
MAX_QUERIES = 1024
"""Number of encoded queries that are cached. A poll sends the queries of the last one again."""
SHORT_QUERY = 256
"""Characters of the values of a query that is cached. A bulk check has thousands."""
EXAMPLE = "https://archive.example.org"
HOST_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE | re.ASCII)
"""The names that can be looked up: RFC 1123, section 2.1, and the underscore, which private networks use."""


@frozen
class Origin:
    """Scheme, host and port, with the path under which the system is mounted."""

    base: str

    @classmethod
    def parse(cls, url: str, *, allow_insecure_http: bool = False) -> "Origin":
        """Return the origin of a base URL.

        Raise `InvalidArgument` for user information, a query, a fragment, or http:// to another machine.
        """
        parts = split_url("url", url, schemes=("https", "http"), example=EXAMPLE)
        if parts.username is not None or parts.password is not None:
            raise InvalidArgument("url", "must not carry credentials, which end up in logs: use auth=")
        if parts.query or parts.fragment:
            raise InvalidArgument("url", "must not have a query or a fragment: end it with the path")
        if not parts.path.isascii():
            raise InvalidArgument("url", "must have a path in ASCII: percent-encode it")
        if parts.scheme == "http" and not (allow_insecure_http or is_loopback(parts.hostname or "")):
            raise InvalidArgument(
                "url", "must be https://, because http:// sends passwords in clear: or pass allow_insecure_http=True"
            )
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    @property
    def secure(self) -> bool:
        """True if the scheme is https."""
        return self.base.startswith("https://")

    @property
    def local(self) -> bool:
        """True if the host is this one."""
        return is_loopback(urlsplit(self.base).hostname or "")

    def url(self, path: str, params: Params = ()) -> str:
        """Return the URL of a path below this origin."""
        if not path.startswith("/") or path.startswith("//") or "\\" in path:
            raise InvalidArgument("path", "must begin with exactly one slash, so that the URL stays on the origin")
        return f"{self.base}{path}" + (f"?{_query(params)}" if params else "")


def _query(params: Params) -> str:
    """Return parameters as the query of a URL."""
    is_short = sum(len(value) for _, value in params) <= SHORT_QUERY
    return _cached_query(params) if is_short else urlencode(params)


@lru_cache(maxsize=MAX_QUERIES)
def _cached_query(params: Params) -> str:
    return urlencode(params)


def same_server(url: str, other: str) -> bool:
    """Return True if two base URLs name the same server, however they spell its host and port."""
    return _normalized(url) == _normalized(other)


def _normalized(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, "localhost" if host in LOCAL_HOSTS else host, port, parts.path.rstrip("/")


def split_url(argument: str, url: str, *, schemes: tuple[str, ...], example: str) -> SplitResult:
    """Return the parts of an absolute URL, with its host name in ASCII (IDNA 2008, RFC 5891).

    Raises:
        InvalidArgument: the URL is misspelled. The message says where.
    """
    if not isinstance(url, str) or not url:
        raise InvalidArgument(argument, f"must be an absolute URL such as {example}")
    if not url.isprintable() or " " in url:
        advice = ": strip it" if url != url.strip() else ""
        raise InvalidArgument(argument, f"must not contain spaces, line ends or control characters{advice}")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in schemes:
        names = " or ".join(f"{name}://" for name in schemes)
        raise InvalidArgument(argument, f"must begin with {names}, such as {example}")
    if rest[:1] in {"", "/", "?", "#"}:
        raise InvalidArgument(argument, f"has no host name: write it after {scheme.lower()}://, such as {example}")
    parts = _with_ascii_host(argument, _split(argument, url))
    _check_port(argument, parts)
    return parts


def _split(argument: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address, or characters that look like a slash
        parts = None
    if parts is None or not parts.hostname:
        raise _invalid_host(argument)
    return parts


def _invalid_host(argument: str) -> InvalidArgument:
    return InvalidArgument(argument, "has an invalid host name: check its spelling")


def _check_port(argument: str, parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise InvalidArgument(argument, "has an invalid port: give a number from 1 to 65535, or leave it out")


def _with_ascii_host(argument: str, parts: SplitResult) -> SplitResult:
    """Return the parts with the host name in ASCII."""
    host = parts.hostname or ""
    if host.isascii():
        if not (":" in host or HOST_NAME.fullmatch(host)):  # urlsplit has checked IPv6 addresses
            raise _invalid_host(argument)
        return parts
    import idna

    try:
        encoded = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise _invalid_host(argument) from None
    user, at, address = parts.netloc.rpartition("@")
    _, colon, port = address.partition(":")
    return parts._replace(netloc=f"{user}{at}{encoded}{colon}{port}")


def is_loopback(host: str) -> bool:
    """Return True if a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
