"""Parts of the requests of the External API: parameters and checked texts. Pure."""

from workflow_async._core.call import Params, checked_encodable
from workflow_async.errors import InvalidArgument

FORM = "application/x-www-form-urlencoded"


def including(**flags: bool) -> Params:
    """Return the `with…` parameters whose flag is true. The server's default for each of them is false."""
    return tuple((name, "true") for name, flag in flags.items() if flag)


def checked_text(argument: str, value: str) -> str:
    """Return the text. Raise `InvalidArgument` if it is blank or cannot be encoded."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(argument, "must be a text that is not blank")
    return checked_encodable(argument, value)


def nonempty(**params: str) -> Params:
    """Return the parameters that are not empty."""
    return tuple((name, value) for name, value in params.items() if value)
