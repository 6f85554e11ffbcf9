"""The cookies of one client, kept as browsers keep them (RFC 6265 as far as the standard library goes)."""

from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, cast
from urllib.request import Request

from attrs import define, field

from workflow_async._core.auth import Headers, SecretHeaders

NO_COOKIES: Headers = ()
MAX_COOKIES = 20
"""Cookies that are kept: a server that sets more has lost count, and refuses requests that bring them all."""


class SecretCookieJar(CookieJar):
    """Cookies that show themselves to nobody."""

    def __repr__(self) -> str:
        return "Jar(...)"


@define
class Cookies:
    """Cookies that show themselves to nobody: a session is as good as a password."""

    _jar: SecretCookieJar = field(factory=SecretCookieJar, init=False, repr=False)
    _has_cookies: bool = field(default=False, init=False)

    def headers(self, url: str) -> Headers:
        """The header that brings them back to where they came from."""
        if not self._has_cookies:
            return NO_COOKIES
        request = Request(url)  # noqa: S310 - read by the jar, never opened
        self._jar.add_cookie_header(request)
        cookie = request.get_header("Cookie")
        return NO_COOKIES if cookie is None else SecretHeaders((("cookie", cookie),))

    def store(self, url: str, values: list[str]) -> None:
        """Keep what the `Set-Cookie` headers of an answer give."""
        response = _HeaderResponse(values)
        self._jar.extract_cookies(cast("Any", response), Request(url))  # noqa: S310 - as above
        for kept in list(self._jar)[:-MAX_COOKIES]:
            self._jar.clear(kept.domain, kept.path, kept.name)
        self._has_cookies = True


class _HeaderResponse:
    """As much of an answer as the jar reads."""

    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message
