"""Reads a condition from a text such as `503,rate=0.1,path=/api/events`, for the command line."""

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from workflow_async.sandbox.canned import CannedResponse
from workflow_async.sandbox.conditions import Boot, Condition, IndexFault, OddRow, SecondResume, ServerClock
from workflow_async.sandbox.faults import ALWAYS, Fault, Faults, Trouble

Options = dict[str, str]
"""The `NAME=VALUE` parts of a text. A function that reads an option removes it."""


def read_condition(text: str) -> Condition:
    """Read one condition: a kind and its options, separated by commas. Raise `ValueError` if the text is invalid.

    Kinds: a fault such as `rate-limited`, a status such as `404`, `redirect`, `latency`, `boot`, `index-down`,
    `index-slow`, `index-empty`, `index-stale`, `odd-row`, `second-resume`, `server-clock`. A path is matched from its
    beginning to its end, and `*` in it stands for any text.
    """
    kind, *parts = (part.strip() for part in text.split(","))
    options = dict(map(_option, parts))
    condition = _reader(kind)(kind, options)
    if options:
        raise ValueError(f"{kind} has no option {', '.join(sorted(options))}")
    return condition


def _option(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals:
        raise ValueError(f"an option must be NAME=VALUE, not {part!r}")
    return name, value


def _reader(kind: str) -> Callable[[str, Options], Condition]:
    if kind in _FAULTS:
        return lambda kind, options: _faults(_FAULTS[kind], options)
    if re.fullmatch("[2-9][0-9][0-9]", kind):
        return lambda kind, options: _faults(_response(int(kind), options), options)
    if kind not in _KINDS:
        known = ", ".join([*_FAULTS, "a status", *_KINDS])
        raise ValueError(f"{kind!r} is not one of {known}")
    return _KINDS[kind]


_FAULTS = {fault.value.replace(" ", "-"): fault for fault in Fault}
_BODIES: Mapping[str, Callable[[int], CannedResponse]] = {
    "empty": CannedResponse.empty,
    "jetty-json": CannedResponse.jetty_json,
    "jetty-html": CannedResponse.jetty_html,
}


def _response(status: int, options: Options) -> CannedResponse:
    executed = options.pop("executed", "no") == "yes"
    if "text" in options:
        canned = CannedResponse.text(status, options.pop("text"), options.pop("type", "text/plain"))
    else:
        body = options.pop("body", "empty")
        if body not in _BODIES:
            raise ValueError(f"body must be one of {', '.join(_BODIES)}, not {body!r}")
        canned = _BODIES[body](status)
    return CannedResponse(canned.status, canned.body, canned.content_type, canned.headers, executed)


def _faults(trouble: Trouble, options: Options) -> Faults:
    rates: dict[Trouble, float] = {trouble: _number(options, "rate", 1.0)}
    retry_after = int(_number(options, "retry-after", 1))
    return Faults(int(_number(options, "seed", 0)), rates=rates, retry_after=retry_after, **_scope(options))


def _scope(options: Options) -> dict[str, Any]:
    return {"during": _during(options), "paths": _paths(options), "methods": _methods(options)}


def _methods(options: Options) -> tuple[str, ...]:
    return (options.pop("method").upper(),) if "method" in options else ()


def _paths(options: Options) -> tuple[re.Pattern[str], ...]:
    return (re.compile(fnmatch.translate(options.pop("path"))),) if "path" in options else ()


def _during(options: Options) -> tuple[float, float]:
    return _number(options, "from", ALWAYS[0]), _number(options, "until", ALWAYS[1])


def _number(options: Options, name: str, default: float) -> float:
    text = options.pop(name, None)
    try:
        return default if text is None else float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None


def _redirect(_: str, options: Options) -> Condition:
    to, status = options.pop("to", "/login.html"), int(_number(options, "status", 302))
    return _faults(CannedResponse.redirect(to, status), options)


def _latency(_: str, options: Options) -> Condition:
    seconds = _number(options, "seconds", 1.0)
    return Faults(latency=(seconds, seconds), **_scope(options))


def _boot(_: str, options: Options) -> Condition:
    return Boot(_number(options, "seconds", 60.0), _paths(options))


def _index(kind: str, options: Options) -> Condition:
    state = cast("Any", kind.removeprefix("index-"))
    return IndexFault(state, _during(options), delay=_number(options, "delay", 5.0))


def _odd_row(_: str, options: Options) -> Condition:
    id = options.pop("id", "")
    if not id:
        raise ValueError("odd-row needs the option id, such as odd-row,id=1000")
    return OddRow(int(id) if id.isdecimal() else id)


def _second_resume(_: str, options: Options) -> Condition:
    return SecondResume(cast("Any", options.pop("harm", "twice")))


def _server_clock(_: str, options: Options) -> Condition:
    return ServerClock(_number(options, "ahead", 0.0), _number(options, "utc-offset", 0.0))


_KINDS: Mapping[str, Callable[[str, Options], Condition]] = {
    "redirect": _redirect,
    "latency": _latency,
    "boot": _boot,
    **dict.fromkeys(("index-down", "index-slow", "index-empty", "index-stale"), _index),
    "odd-row": _odd_row,
    "second-resume": _second_resume,
    "server-clock": _server_clock,
}
