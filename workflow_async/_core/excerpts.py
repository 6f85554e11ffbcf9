"""Shortens bodies and rows for errors, without credentials, and recognises HTML pages. Pure."""

import re
import reprlib

from workflow_async.errors import BODY_CUT

MAX_CHAR_BYTES = 4
"""Largest number of bytes of a character in UTF-8."""
CREDENTIAL_MEMBER = re.compile(
    r'("[^"]{0,40}(?:token|password|secret|session)[^"]{0,40}"\s{0,9}:\s{0,9})"(?:[^"\\]|\\.?)*+(?:"|$)',
    re.IGNORECASE | re.DOTALL,
)
"""Matches a member of a JSON object whose name says that it holds a credential.

The end of a body that is cut may cut such a member too.
"""
ROW_REPR = reprlib.Repr()
"""Prints a row of any size and depth in bounded length. A hostile server may have sent it."""
ROW_REPR.maxlevel, ROW_REPR.maxdict, ROW_REPR.maxlist = 8, 64, 64
ROW_REPR.maxstring, ROW_REPR.maxlong, ROW_REPR.maxother = 256, 64, 64
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*>\s*+)?(?:<!--.*?-->\s*+)*+<(?:!doctype\s++)?html\b",
    re.IGNORECASE | re.DOTALL,
)
"""Matches the start of an HTML page, including what may precede its first tag."""


def is_html(body: bytes) -> bool:
    """Return True if a body starts as an HTML page, even one that is well-formed XML."""
    return HTML_START.match(body[:1024]) is not None


def redacted_beginning(body: bytes) -> str:
    """Return the beginning of a body as text, without the values of members that hold credentials."""
    text = body[: BODY_CUT * MAX_CHAR_BYTES].decode("utf-8", "replace")[:BODY_CUT]
    return CREDENTIAL_MEMBER.sub(r'\1"..."', text)


def shortened_repr(value: object) -> str:
    """Return the repr of a value in bounded length."""
    return ROW_REPR.repr(value)
