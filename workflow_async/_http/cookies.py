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


class Jar(CookieJar):
    """Cookies that show themselves to nobody."""

    def __repr__(self) -> str:
        return "Jar(...)"


@define
class Cookies:
    """Cookies that show themselves to nobody: a session is as good as a password."""

    _jar: Jar = field(factory=Jar, init=False, repr=False)
    _any: bool = field(default=False, init=False)

    def headers(self, url: str) -> Headers:
        """The header that brings them back to where they came from."""
        if not self._any:
            return NO_COOKIES
        asking = Request(url)  # noqa: S310 - read by the jar, never opened
        self._jar.add_cookie_header(asking)
        brought = asking.get_header("Cookie")
        return NO_COOKIES if brought is None else SecretHeaders((("cookie", brought),))

    def take(self, url: str, given: list[str]) -> None:
        """Keep what the `Set-Cookie` headers of an answer give."""
        answer = _Answer(given)
        self._jar.extract_cookies(cast("Any", answer), Request(url))  # noqa: S310 - as above
        for cookie in list(self._jar)[:-MAX_COOKIES]:
            self._jar.clear(cookie.domain, cookie.path, cookie.name)
        self._any = True


class _Answer:
    """As much of an answer as the jar reads."""

    def __init__(self, given: list[str]) -> None:
        self._message = Message()
        for text in given:
            self._message["Set-Cookie"] = text

    def info(self) -> Message:
        return self._message
