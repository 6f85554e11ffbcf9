"""Checks the base URL of a client and builds every request URL from it. Pure."""

import ipaddress
from urllib.parse import urlencode, urlsplit

from attrs import frozen

from workflow_async._core.call import Params
from workflow_async.errors import InvalidArgument

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine."""
ABSOLUTE_ADVICE = "must be an absolute URL such as https://oc.example.org"


@frozen
class Origin:
    """Scheme, host and port, with the path under which the system is mounted."""

    base: str

    @classmethod
    def parse(cls, url: str, *, allow_insecure_http: bool = False) -> "Origin":
        """Return the origin of a base URL.

        Raise `InvalidArgument` for user information, a query, a fragment, or http:// to another machine.
        """
        if not isinstance(url, str) or not url.isprintable() or " " in url:
            raise InvalidArgument("url", "must not contain spaces, line ends or control characters: strip it")
        try:
            parts = urlsplit(_ascii(url))
            is_valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except InvalidArgument:
            raise
        except ValueError:  # brackets without an IPv6 address, or a port that is no number
            raise InvalidArgument("url", ABSOLUTE_ADVICE) from None
        if not is_valid:
            raise InvalidArgument("url", ABSOLUTE_ADVICE)
        if parts.username is not None or parts.password is not None:
            raise InvalidArgument("url", "must not carry credentials, which end up in logs: use auth=")
        if parts.query or parts.fragment:
            raise InvalidArgument("url", "must not have a query or a fragment: end it with the path")
        if not url.isascii() and not parts.path.isascii():
            raise InvalidArgument("url", "must have a path in ASCII: percent-encode it")
        if parts.scheme == "http" and not (allow_insecure_http or _is_loopback(parts.hostname or "")):
            raise InvalidArgument(
                "url", "must be https://, because http:// sends passwords in clear: or pass allow_insecure_http=True"
            )
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    @property
    def secure(self) -> bool:
        """True if the scheme is https."""
        return self.base.startswith("https://")

    def url(self, path: str, params: Params = ()) -> str:
        """Return the URL of a path below this origin."""
        if not path.startswith("/") or path.startswith("//") or "\\" in path:
            raise InvalidArgument("path", "must begin with exactly one slash, so that the URL stays on the origin")
        return f"{self.base}{path}" + (f"?{urlencode(params)}" if params else "")


def same_server(url: str, other: str) -> bool:
    """Return True if two base URLs name the same server, however they spell its host and port."""
    return _normalized(url) == _normalized(other)


def _normalized(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, "localhost" if host in LOCAL_HOSTS else host, port, parts.path.rstrip("/")


def _ascii(url: str) -> str:
    """Return the URL with its host name in ASCII (IDNA 2008, RFC 5891)."""
    if url.isascii():
        return url
    import idna

    parts = urlsplit(url)
    try:
        host = idna.encode(parts.hostname or "", uts46=True).decode()
    except idna.IDNAError:
        raise InvalidArgument("url", "has an invalid host name: check its spelling") from None
    user, at, _ = parts.netloc.rpartition("@")
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=f"{user}{at}{host}{port}").geturl()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
