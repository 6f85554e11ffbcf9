"""Canned responses, and the forms that real servers and proxies send."""

from collections.abc import Iterable, Mapping
from http.client import responses as PHRASES  # noqa: N812  # a table of constants

from attrs import Attribute, field, frozen

Headers = tuple[tuple[str, str], ...]

_SERVLET = "org.eclipse.jetty.servlet.ServletHandler$Default404Servlet-2b56f5f8"
_JETTY_JSON = """{{
"servlet":"{servlet}",
{cause}"message":"{message}",
"url":"{{path}}",
"status":"{status}"
}}
"""
_JETTY_HTML = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>
<title>Error {status} {message}</title>
</head>
<body><h2>HTTP ERROR {status} {message}</h2>
<table>
<tr><th>URI:</th><td>{{path}}</td></tr>
<tr><th>STATUS:</th><td>{status}</td></tr>
<tr><th>MESSAGE:</th><td>{message}</td></tr>
<tr><th>SERVLET:</th><td>{servlet}</td></tr>
</table>

</body>
</html>
"""
_NO_SERVICE = "<html><body>No service was found.</body></html>"
_SERVICE_LIST = (
    "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN'>"
    "<HTML><HEAD><title>CXF - Service list</title></head><body>"
    "<span class='heading'>No services have been found.</span></body></html>"
)


def _as_pairs(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)  # pyright: ignore[reportReturnType]


def _check_status(_: "CannedResponse", __: "Attribute[int]", status: int) -> None:
    if not 200 <= status <= 999:  # noqa: PLR2004  # what h11 can send as a final status line
        raise ValueError(f"status must be a final status from 200 to 999, not {status}")


@frozen
class CannedResponse:
    """A response in place of the system's own.

    `{path}` in the body stands for the path of the request.
    """

    status: int = field(validator=_check_status)
    body: str = ""
    content_type: str | None = None
    headers: Headers = field(default=(), converter=_as_pairs)
    executed: bool = False
    """True if the system carries out the request before its own response is dropped."""

    @classmethod
    def text(cls, status: int, body: str, content_type: str = "text/plain") -> "CannedResponse":
        """Return a response with a text as its body."""
        return cls(status, body, content_type)

    @classmethod
    def empty(cls, status: int, *, allow: str | None = None) -> "CannedResponse":
        """Return a response without a body, and with an `Allow` header if given."""
        return cls(status, headers={} if allow is None else {"allow": allow})

    @classmethod
    def jetty_json(cls, status: int, message: str = "") -> "CannedResponse":
        """Return the error that Jetty sends to a client that accepts JSON. Its message is the phrase of the status."""
        cause = f'"cause0":"{message}",\n' if message else ""
        phrase = message or reason(status)
        body = _JETTY_JSON.format(servlet=_SERVLET, cause=cause, message=phrase, status=status)
        return cls(status, body, "application/json")

    @classmethod
    def jetty_html(cls, status: int, message: str = "") -> "CannedResponse":
        """Return the error page that Jetty sends to a browser. Its message is the phrase of the status."""
        page = _JETTY_HTML.format(servlet=_SERVLET, message=message or reason(status), status=status)
        return cls(status, page, "text/html;charset=iso-8859-1")

    @classmethod
    def no_service(cls) -> "CannedResponse":
        """Return what CXF sends for every path while Opencast wires its endpoints."""
        return cls(404, _NO_SERVICE, "text/html")

    @classmethod
    def service_list(cls) -> "CannedResponse":
        """Return what CXF sends as a success for the root of a servlet before its endpoint is there."""
        return cls(200, _SERVICE_LIST, "text/html")

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> "CannedResponse":
        """Return a redirect to any URL."""
        return cls(status, headers={"location": location})

    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers as ASGI wants them, Content-Type included."""
        pairs = self.headers if self.content_type is None else (("content-type", self.content_type), *self.headers)
        return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)

    def content(self, path: str) -> bytes:
        """Return the body for a request to `path`."""
        return self.body.replace("{path}", path).encode()


def reason(status: int) -> str:
    """Return the phrase of a status code, or "Unknown"."""
    return PHRASES.get(status, "Unknown")


ALLOW = "HEAD,DELETE,POST,GET,PUT,OPTIONS"
BOOTING = (
    CannedResponse.no_service(),
    CannedResponse.jetty_json(404),
    CannedResponse.jetty_html(404),
    CannedResponse.empty(404, allow=ALLOW),
    CannedResponse.empty(405, allow="OPTIONS"),
    CannedResponse.jetty_json(405),
    CannedResponse.service_list(),
    CannedResponse.jetty_json(500),
)
"""Every form of response that a booting Opencast has been seen to send."""
