"""Finds the proxy of a client: in its argument, or in the environment for `proxy="env"`. Pure."""

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from workflow_async._core.auth import FORBIDDEN_CHARS, Headers, Secret, SecretHeaders
from workflow_async._core.origin import is_loopback, split_url
from workflow_async.errors import InvalidArgument

ENVIRONMENT = "env"
EXAMPLE = "http://proxy.example.org:3128"
DEFAULT_PORTS = {"http": 80, "https": 443}
VARIABLES = {"https": ("https_proxy", "HTTPS_PROXY"), "http": ("http_proxy",)}
"""The variables by the scheme of the server. HTTP_PROXY is none: a CGI server sets it from a header of the request."""
OTHER_KINDS = ("https://", "socks4://", "socks4a://", "socks5://", "socks5h://")
"""Proxies that only a client of the caller supports."""


@frozen
class Proxy:
    """An HTTP proxy. It opens a tunnel to an https:// server, and forwards requests to an http:// server."""

    url: str
    """The URL, without user name and password."""
    username: str | None = field(default=None, repr=False)
    password: Secret = field(default=Secret(""), repr=False)

    @property
    def headers(self) -> Headers:
        """The headers that authenticate at the proxy."""
        if self.username is None:
            return ()
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return SecretHeaders((("proxy-authorization", "Basic " + base64.b64encode(pair).decode()),))


def forward_headers(proxy: Proxy | None, url: str) -> Headers:
    """Return the headers for a proxy that forwards the request. Requests in a tunnel must not have them."""
    return () if proxy is None or url.startswith("https:") else proxy.headers


def find_proxy(setting: Secret, server: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a server's base URL, or None.

    Args:
        setting: the URL of a proxy, or "env" for the environment's.
        server: the base URL of the server.
        environment: the environment variables.

    Raises:
        InvalidArgument: the URL is not that of an HTTP proxy. The message never repeats the password.
    """
    if setting.reveal() != ENVIRONMENT:
        return _parse_proxy(setting)
    found = _variable(server, environment)
    if found is None:
        return None
    name, secret = found
    try:
        return _parse_proxy(secret if "://" in secret.reveal() else Secret(f"http://{secret.reveal()}"))
    except InvalidArgument as error:
        why = error.why
    raise InvalidArgument("proxy", f"{name} in the environment {why}")


def _parse_proxy(setting: Secret) -> Proxy:
    url, user_info = _split_user_info(setting)
    if url.lower().startswith(OTHER_KINDS):
        raise InvalidArgument(
            "proxy", "must begin with http://: for another kind of proxy give http= an AsyncClient that uses it"
        )
    parts = split_url("proxy", url, schemes=("http",), example=EXAMPLE)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise InvalidArgument("proxy", f"must end after the port, such as {EXAMPLE}")
    proxy = f"http://{parts.netloc}"
    if user_info is None:
        return Proxy(proxy)
    if FORBIDDEN_CHARS.search(unquote(user_info.reveal())):
        raise InvalidArgument("proxy", "must have a user name and a password without control characters")
    username, password = _split_pair(user_info)
    return Proxy(proxy, username, password)


def _split_user_info(setting: Secret) -> tuple[str, Secret | None]:
    """Return the URL without user name and password, and those two. Never raises, because a traceback shows locals."""
    text = setting.reveal()
    if not isinstance(text, str):
        return "", None
    scheme, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    user_info, at, address = rest.rpartition("@")
    return f"{scheme}{separator}{address}", Secret(user_info) if at else None


def _split_pair(user_info: Secret) -> tuple[str, Secret]:
    username, _, password = user_info.reveal().partition(":")
    return unquote(username), Secret(unquote(password))


# The environment


def _variable(server: str, environment: Mapping[str, str]) -> tuple[str, Secret] | None:
    """Return the variable that names the proxy for a server, and its value. None if the server needs no proxy."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if is_loopback(host) or any(_matches(entry, host, port) for entry in excepted.replace(",", " ").split()):
        return None
    for name in (*VARIABLES[parts.scheme], "all_proxy", "ALL_PROXY"):
        if environment.get(name, "").strip():
            return name, Secret(environment[name].strip())
    return None


def _matches(entry: str, host: str, port: int) -> bool:
    """Return True if an entry of NO_PROXY covers a host.

    An entry is `*`, a domain, an address or a network. A domain or an address may have a port.
    """
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit() and (name.endswith("]") or ":" not in name):
        if int(number) != port:
            return False
        entry = name
    entry = entry.strip("[]").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").lstrip(".").rstrip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
