"""Keeps the cookies of one client, by the rules of RFC 6265 as far as `http.cookiejar` implements them."""

from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, cast
from urllib.request import Request

from attrs import define, field

from workflow_async._core.auth import Headers, SecretHeaders

NO_COOKIES: Headers = ()
MAX_COOKIES = 20
"""Number of cookies kept. A server that sets more has an error, and refuses requests that carry them all."""


class SecretCookieJar(CookieJar):
    """A cookie jar whose `repr` does not show the cookies (see `Secret`)."""

    def __repr__(self) -> str:
        return "Jar(...)"


@define
class Cookies:
    """The cookies of one client. `repr` does not show them, because a session cookie is as good as a password."""

    _jar: SecretCookieJar = field(factory=SecretCookieJar, init=False, repr=False)
    _has_cookies: bool = field(default=False, init=False)

    def headers(self, url: str) -> Headers:
        """Return the Cookie header for a URL, or no header."""
        if not self._has_cookies:
            return NO_COOKIES
        request = Request(url)  # noqa: S310 - the jar reads this request, nothing opens it
        self._jar.add_cookie_header(request)
        cookie = request.get_header("Cookie")
        return NO_COOKIES if cookie is None else SecretHeaders((("cookie", cookie),))

    def store(self, url: str, values: list[str]) -> None:
        """Store the cookies of the `Set-Cookie` headers of a response."""
        response = _HeaderResponse(values)
        self._jar.extract_cookies(cast("Any", response), Request(url))  # noqa: S310 - likewise
        for kept in list(self._jar)[:-MAX_COOKIES]:
            self._jar.clear(kept.domain, kept.path, kept.name)
        self._has_cookies = True


class _HeaderResponse:
    """The part of a response that the jar reads."""

    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message
