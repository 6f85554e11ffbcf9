"""Reads the form fields of a configuration panel in JSON or HTML. Pure."""

import json
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from attrs import evolve, frozen

MAX_DEPTH = 32
"""Largest depth of fieldsets within fieldsets."""
CONFIG_CLASS = "configField"
"""The class of the HTML fields that the admin interface sends."""
CONTROLS = frozenset({"button", "submit", "reset", "image", "file"})
"""Types of an HTML `input` without a value of its own."""


@frozen(kw_only=True)
class PanelField:
    """One form field, with its values as texts. Each radio button is a field."""

    key: str
    """The key in the configuration. Empty if the field has none."""
    type: str
    """The word of JSON or HTML, such as `checkbox`."""
    value: str | None = None
    """What is preselected."""
    choices: tuple[str, ...] = ()
    label: str = ""
    required: bool = False
    minimum: str | None = None
    maximum: str | None = None


def json_fields(text: str) -> Iterator[PanelField]:
    """Yield the fields of a JSON panel, which is a list of groups. Each has a `fieldset`, and a field may have one too.

    Raise `ValueError` or `RecursionError` for anything else.
    """
    for group in _objects(json.loads(text)):
        heading = _text(group.get("description")) or _text(group.get("legend")) or ""
        for field in _nested(group):
            yield _json_field(field, heading)


def html_fields(text: str) -> list[PanelField]:
    """Return the fields of an HTML panel that the admin interface sends.

    It sends the fields of the class `configField` by their ids. If no field has this class, the panel was written for
    another interface, and all fields count, by their names.

    Raise `ValueError` or `AssertionError` for a text that cannot be parsed.
    """
    reader = _Reader()
    reader.feed(text[: text.rfind(">") + 1])  # the parser takes quadratic time for tags without an end
    reader.close()
    labels = {id: " ".join("".join(parts).split()) for id, parts in reader.labels.items()}
    return [evolve(field, label=labels.get(id, "")) for id, field in reader.sent or reader.others]


def _nested(group: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the fields of a group, and those of their own fieldsets."""
    if depth > MAX_DEPTH:
        raise ValueError
    for field in _objects(group.get("fieldset") or []):
        yield field
        yield from _nested(field, depth + 1)


def _json_field(field: Mapping[str, Any], heading: str) -> PanelField:
    """Return a field of JSON. The label of a radio button is that of its value, so the group's heading is used."""
    type, value = _text(field.get("type")) or "", _text(field.get("value"))
    is_radio = type == "radio"
    return PanelField(
        key=_text(field.get("name")) or "",
        type=type,
        value=value if not is_radio or field.get("checked") in (True, "true", "checked") else None,
        choices=(value,) if is_radio and value is not None else (),
        label=(not is_radio and _text(field.get("label"))) or heading,
        required=field.get("required") is True,
        minimum=_text(field.get("min")),
        maximum=_text(field.get("max")),
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects. Raise `ValueError` for anything else."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError
    return value


def _text(value: Any) -> str | None:
    """Return a value of JSON as the text that a start sends. None for null, lists and objects."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


class _Reader(HTMLParser):
    """Collects fields and the texts of their labels."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, PanelField]] = []
        """The fields of the class `configField`, with their ids."""
        self.others: list[tuple[str, PanelField]] = []
        self.labels: dict[str, list[str]] = {}
        """The parts of each label, by the id of its field."""
        self._label_of: str | None = None
        self._select: list[tuple[str, PanelField]] | None = None
        """The list whose last field is the `select` that is being read."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a field, a choice or a label."""
        attributes = dict(attrs)
        if tag == "option" and self._select is not None:
            id, field = self._select[-1]
            self._select[-1] = id, _with_choice(field, attributes)
        elif tag in {"input", "select", "textarea"}:
            is_config = CONFIG_CLASS in (attributes.get("class") or "").split()
            fields = self.sent if is_config else self.others
            fields.append((attributes.get("id") or "", _html_field(tag, attributes, is_config=is_config)))
            self._select = fields if tag == "select" else None
        elif tag == "label":
            self._label_of = attributes.get("for")

    def handle_endtag(self, tag: str) -> None:
        """End a label or a `select`."""
        if tag == "label":
            self._label_of = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        """Add to the text of a label."""
        if self._label_of:
            self.labels.setdefault(self._label_of, []).append(data)


def _html_field(tag: str, attributes: Mapping[str, str | None], *, is_config: bool) -> PanelField:
    """Return a field of HTML. The admin interface sends a radio button of its class as true or false, by its id."""
    id, name = attributes.get("id") or "", attributes.get("name") or ""
    type = (attributes.get("type") or "text").lower() if tag == "input" else tag
    value, is_checked = attributes.get("value"), "checked" in attributes
    is_choice = type == "radio" and not is_config
    if type == "checkbox" or (type == "radio" and is_config):
        type, value = "checkbox", "true" if is_checked else "false"
    elif tag != "input":
        value = None
    return PanelField(
        key="" if type in CONTROLS else (id or name) if is_config else (name or id),
        type=type,
        value=value if not is_choice or is_checked else None,
        choices=(value,) if is_choice and value is not None else (),
        required="required" in attributes,
        minimum=attributes.get("min"),
        maximum=attributes.get("max"),
    )


def _with_choice(field: PanelField, attributes: Mapping[str, str | None]) -> PanelField:
    """Return a `select` with one more choice. The first one is preselected unless another one is marked.

    The value of a choice without the attribute `value` is its text. It is not read, so the field becomes a text.
    """
    value = attributes.get("value")
    if value is None:
        return evolve(field, type="text", value=None)
    selected = value if "selected" in attributes or not field.choices else field.value
    return evolve(field, choices=(*field.choices, value), value=selected)
