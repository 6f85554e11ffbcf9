"""Reads the options of a workflow definition from its configuration panel, and checks a configuration. Pure.

Opencast does not interpret a panel. It is a text for user interfaces, so these rules are those of the admin interface.
See tests/contract/opencast.md, section 3.3.
"""

import enum
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches

from attrs import evolve, frozen

from workflow_async._core.call import ParameterValue, stringify
from workflow_async._records.record import Record
from workflow_async.errors import InvalidArgument
from workflow_async.opencast.panel_fields import PanelField, html_fields, json_fields

MAX_JSON = 100_000
"""Largest number of characters of a JSON panel that is parsed."""
MAX_HTML = 20_000
"""Largest number of characters of an HTML panel that is parsed. Those of Opencast's own definitions have up to 7,000.

The parser takes quadratic time for hostile texts: less than a second for this many characters.
"""
MAX_SHOWN = 10
"""Largest number of names or choices that an error lists."""
MAX_COMPARED = 1000
"""Largest number of names that are compared with an unknown key."""
MAX_NAME = 100
"""Largest number of characters of a name that is compared with an unknown key, or shown."""
NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
BOOLEANS = {"true": True, "false": False}
NOT_READ = (
    "cannot be checked because the definition was read without its panel: get it with with_configuration_panel=True "
    "and with_configuration_panel_json=True"
)


class OptionType(enum.Enum):
    """The type of an option."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"
    """Any text. Includes every type that this library does not know, such as a date."""
    CHOICE = "choice"
    """One of `choices`."""


TYPES = {
    "checkbox": OptionType.BOOLEAN,
    "number": OptionType.NUMBER,
    "range": OptionType.NUMBER,
    "radio": OptionType.CHOICE,
    "select": OptionType.CHOICE,
}
"""The type of each type of a form field. Others are texts."""


@frozen(kw_only=True)
class Option(Record):
    """One option of a workflow definition, from its configuration panel."""

    name: str
    """The key in the configuration of a start."""
    type: OptionType
    default: ParameterValue | None = None
    """What the panel preselects. None if it preselects nothing. `start` does not send it."""
    choices: tuple[str, ...] = ()
    """The texts that a choice accepts. Empty for other types."""
    label: str = ""
    required: bool = False
    """True if the panel marks the option as required. Opencast itself requires none."""
    minimum: float | None = None
    """The lowest number. None if there is no limit."""
    maximum: float | None = None
    """The highest number. None if there is no limit."""


@frozen
class Panel:
    """The options of a panel. An unreadable panel has none, and `problem` says why they are unknown."""

    options: tuple[Option, ...] = ()
    problem: str = ""


def read_panel(panel_json: str | None, panel_html: str | None) -> Panel:
    """Read the JSON panel, or the HTML panel if there is no JSON. Never raise."""
    if panel_json is not None and panel_json.strip():
        return _read("JSON", panel_json, MAX_JSON, json_fields)
    if panel_html is None:
        return Panel(problem=NOT_READ)
    return _read("HTML", panel_html, MAX_HTML, html_fields)


def check_configuration(definition_id: str, panel: Panel, configuration: Mapping[str, ParameterValue]) -> None:
    """Raise `InvalidArgument` for the first key or value that does not fit the options of a panel."""
    texts = stringify("configuration", configuration)
    if texts and panel.problem:
        raise InvalidArgument("configuration", panel.problem)
    options = {option.name: option for option in panel.options}
    for key, text in texts.items():
        option = options.get(key)
        fault = _unknown_key(definition_id, key, options) if option is None else _unfit_value(option, text)
        if fault:
            raise InvalidArgument(f"configuration[{key!r:.60}]", fault)


# Reading


def _read(language: str, text: str, size: int, fields: Callable[[str], Iterable[PanelField]]) -> Panel:
    if len(text) > size:
        return Panel(problem=_unreadable(language, f"has more than {size:,} characters"))
    try:
        merged = _merged(fields(text))
    except (ValueError, AssertionError, RecursionError):  # the parsers raise these for malformed texts
        return Panel(problem=_unreadable(language, "is malformed"))
    return Panel(tuple(_option(field) for field in merged))


def _unreadable(language: str, why: str) -> str:
    return f"cannot be checked because the {language} panel of the definition {why}: correct the panel"


def _merged(fields: Iterable[PanelField]) -> Iterable[PanelField]:
    """Return one field for each key. The last field of a key counts, except that radio buttons are choices of one."""
    groups: dict[str, list[PanelField]] = {}
    for field in fields:
        if field.key:
            groups.setdefault(field.key, []).append(field)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[PanelField]) -> PanelField:
    """Return one field for the fields of one key."""
    last = group[-1]
    if last.type != "radio":
        return last
    buttons = [field for field in group if field.type == "radio"]
    return evolve(
        last,
        value=next((button.value for button in buttons if button.value is not None), None),
        choices=tuple(dict.fromkeys(choice for button in buttons for choice in button.choices)),
        required=any(button.required for button in buttons),
    )


def _option(field: PanelField) -> Option:
    type = TYPES.get(field.type, OptionType.TEXT)
    if type is OptionType.CHOICE and not field.choices:
        type = OptionType.TEXT
    is_number = type is OptionType.NUMBER
    return Option(
        name=field.key,
        type=type,
        default=_default(type, field),
        choices=field.choices if type is OptionType.CHOICE else (),
        label=field.label,
        required=field.required,
        minimum=_number(field.minimum) if is_number else None,
        maximum=_number(field.maximum) if is_number else None,
    )


def _default(type: OptionType, field: PanelField) -> ParameterValue | None:
    """Return the value that is preselected, in the type of the option. None if it does not fit."""
    if type is OptionType.BOOLEAN:
        return BOOLEANS.get((field.value or "").lower())
    return _number(field.value) if type is OptionType.NUMBER else field.value


def _number(text: str | None) -> int | float | None:
    """Return the number that a text states. None if it states none."""
    if text is None or not NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


# Checking


def _unknown_key(definition_id: str, key: str, options: Mapping[str, Option]) -> str:
    """Say that a key is not an option, and which one may be meant."""
    unknown = f"is not an option of the definition {definition_id[:MAX_NAME]!r}"
    if not options:
        return f"{unknown}, whose panel has no options: leave it out"
    names = [name for name in options if len(name) <= MAX_NAME][:MAX_COMPARED]
    close = get_close_matches(key, names, n=1) if len(key) <= MAX_NAME else []
    return f"{unknown}: did you mean {close[0]!r}?" if close else f"{unknown}: use one of {_listed(options)}"


def _unfit_value(option: Option, text: str) -> str:
    """Return what a value must be but is not. Empty if it fits. The value itself is not repeated."""
    match option.type:
        case OptionType.BOOLEAN if text.lower() not in BOOLEANS:
            return "must be True or False"
        case OptionType.NUMBER:
            return _unfit_number(option, _number(text))
        case OptionType.CHOICE if text not in option.choices:
            return f"must be one of {_listed(option.choices)}"
    return ""


def _unfit_number(option: Option, number: float | None) -> str:
    if number is None:
        return "must be a number"
    if option.minimum is not None and number < option.minimum:
        return f"must be at least {option.minimum}"
    if option.maximum is not None and number > option.maximum:
        return f"must be at most {option.maximum}"
    return ""


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name[:MAX_NAME]) for name in names]
    more = len(shown) - MAX_SHOWN
    return ", ".join(shown[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
