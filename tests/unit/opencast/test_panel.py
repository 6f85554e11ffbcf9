"""Options of a definition, read from its configuration panel, and configurations that are checked against them."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async.errors import InvalidArgument
from workflow_async.opencast import Definition, Option, OptionType
from workflow_async.opencast.panel import MAX_HTML, MAX_JSON, NOT_READ, read_panel

BOOLEAN, NUMBER, TEXT, CHOICE = OptionType.BOOLEAN, OptionType.NUMBER, OptionType.TEXT, OptionType.CHOICE


def in_json(*fields: Any, **group: Any) -> Definition:
    """Return a definition with these fields in one group of its JSON panel."""
    return Definition(id="fast", configuration_panel_json=json.dumps([{**group, "fieldset": fields}]))


def in_html(text: str) -> Definition:
    """Return a definition with an HTML panel and an empty JSON panel, as Opencast 14 and later send it."""
    return Definition(id="fast", configuration_panel=text, configuration_panel_json=" \n")


def refusal(definition: Definition, configuration: Any) -> str:
    """Return the error of a check."""
    with pytest.raises(InvalidArgument) as caught:
        definition.check(configuration)
    return str(caught.value)


# The JSON panel


@pytest.mark.parametrize(
    ("value", "default"),
    [(True, True), (False, False), ("true", True), ("False", False), ("yes", None), (None, None), ([], None)],
)
def test_a_checkbox_is_a_boolean(value: Any, default: Any) -> None:
    (option,) = in_json({"type": "checkbox", "name": "publish", "label": "Publish", "value": value}).options
    assert option == Option(name="publish", type=BOOLEAN, default=default, label="Publish")


@pytest.mark.parametrize(
    ("value", "default"), [("1", 1), (7, 7), (0.5, 0.5), ("2.5e1", 25.0), ("many", None), ("1e999", None), ("", None)]
)
def test_a_number_has_its_limits(value: Any, default: Any) -> None:
    (option,) = in_json({"type": "number", "name": "copies", "value": value, "min": "1", "max": 25}).options
    assert option == Option(name="copies", type=NUMBER, default=default, minimum=1, maximum=25)


def test_radio_buttons_of_one_name_are_one_choice_under_the_heading_of_their_group() -> None:
    buttons: list[dict[str, Any]] = [
        {"type": "radio", "name": "quality", "label": "Low", "value": "low"},
        {"type": "radio", "name": "quality", "label": "High", "value": "high", "checked": True, "required": True},
        {"type": "radio", "name": "quality", "label": "High again", "value": "high"},
        {"type": "radio", "name": "quality", "label": "No value"},
    ]
    (option,) = in_json(*buttons, legend="Quality").options
    assert option == Option(
        name="quality", type=CHOICE, default="high", choices=("low", "high"), label="Quality", required=True
    )


@pytest.mark.parametrize("type", ["text", "datetime-local", "unheard-of", None, 3, "radio"])
def test_every_other_field_is_a_text(type: Any) -> None:
    (option,) = in_json({"type": type, "name": "title"}, description="Title of the copy").options
    assert option == Option(name="title", type=TEXT, label="Title of the copy")


def test_fields_within_fields_are_options_too() -> None:
    inner = {"type": "checkbox", "name": "inner", "value": False}
    definition = in_json({"type": "checkbox", "name": "outer", "value": True, "fieldset": [inner]}, {"type": "text"})
    assert [option.name for option in definition.options] == ["outer", "inner"]


def test_the_last_of_two_fields_with_one_name_counts() -> None:
    (option,) = in_json({"type": "radio", "name": "a", "value": "x"}, {"type": "number", "name": "a"}).options
    assert option.type is NUMBER


def test_the_json_panel_takes_precedence() -> None:
    definition = Definition(
        id="fast",
        configuration_panel='<input name="old">',
        configuration_panel_json='[{"fieldset": [{"name": "new", "type": "text"}]}]',
    )
    assert [option.name for option in definition.options] == ["new"]


# The HTML panel

PANEL = """
<div id="workflow-configuration"><style><!-- legend { color: red } --></style>
  <input type="checkbox" id="cut" name="cut" class="big configField" value="true"/>
  <label for="cut">Cut
    <b>it</b></label>
  <input type="checkbox" id=publish class=configField checked=checked><label for=publish>Publish</label>
  <input type="radio" name="toggle" value="hold"/><label>Hold</label>
  <input type="radio" name="target" id="toEngage" class="configField" value="true" checked/>
  <input type="radio" name="target" id="toAws" class="configField" value="true"/>
  <input type="hidden" id="straight" class="configField" value="true"/>
  <input type="number" id="copies" class="configField" value="1" min="1" max="25" required/>
  <input type="submit" id="go" class="configField" value="Go"/> <input class="configField"/>
  <textarea id="note" class="configField">Text</textarea>
  <select id="size" class="configField"><option value="s">S</option><option value="l" selected>L</option></select>
  <select id="first" class="configField"><option value="1">1</option><option value="2">2</option></select>
  <select id="named" class="configField"><option>One</option></select>
</div><script>$('<input id="x" class="configField">')</script>
"""


def test_the_fields_of_an_html_panel_are_those_that_the_admin_interface_sends() -> None:
    assert in_html(PANEL).options == (
        Option(name="cut", type=BOOLEAN, default=False, label="Cut it"),
        Option(name="publish", type=BOOLEAN, default=True, label="Publish"),
        Option(name="toEngage", type=BOOLEAN, default=True),
        Option(name="toAws", type=BOOLEAN, default=False),
        Option(name="straight", type=TEXT, default="true"),
        Option(name="copies", type=NUMBER, default=1, required=True, minimum=1, maximum=25),
        Option(name="note", type=TEXT),
        Option(name="size", type=CHOICE, default="l", choices=("s", "l")),
        Option(name="first", type=CHOICE, default="1", choices=("1", "2")),
        Option(name="named", type=TEXT),
    )


def test_all_fields_of_an_html_panel_without_the_class_count_by_their_names() -> None:
    radio = '<input type="radio" name="a" value="x"><input type="radio" id="a2" name="a" value="y" checked>'
    assert in_html(f'{radio}<option value="stray"><input id="b">').options == (
        Option(name="a", type=CHOICE, default="y", choices=("x", "y")),
        Option(name="b", type=TEXT),
    )


# Panels without options

DEEP = '[{"fieldset": ' * 40 + "[]" + "}]" * 40
UNREADABLE_JSON = [
    *("{", "null", "{}", "[1]", '[{"fieldset": 1}]', '[{"fieldset": [[]]}]', "[" * 100_000, "9" * 5000),
    *(DEEP, f"[{' ' * MAX_JSON}]"),
]
UNREADABLE_HTML = [f"&#{'9' * 5000};>", " " * (MAX_HTML + 1)]


@pytest.mark.parametrize("text", UNREADABLE_JSON, ids=lambda text: text[:12])
def test_an_unreadable_json_panel_gives_no_options_and_the_check_says_so(text: str) -> None:
    definition = Definition(id="fast", configuration_panel_json=text, configuration_panel="<input name='a'>")
    assert definition.options == ()
    assert "the JSON panel of the definition" in refusal(definition, {"a": 1})


@pytest.mark.parametrize("text", UNREADABLE_HTML, ids=lambda text: text[:12])
def test_an_unreadable_html_panel_gives_no_options_and_the_check_says_so(text: str) -> None:
    definition = in_html(text)
    assert definition.options == ()
    assert "the HTML panel of the definition" in refusal(definition, {"a": 1})


def test_a_markup_that_only_some_parsers_refuse_never_raises() -> None:
    assert read_panel(None, "<![x[>").options == ()


def test_a_tag_without_an_end_is_not_read() -> None:
    assert [option.name for option in in_html("<input id=a>" + "<input id=b " * 1500).options] == ["a"]


@pytest.mark.parametrize("panel_json", [None, ""])
def test_a_definition_without_its_panel_has_no_options_and_the_check_says_so(panel_json: str | None) -> None:
    definition = Definition(id="fast", configuration_panel_json=panel_json)
    assert definition.options == ()
    assert refusal(definition, {"a": 1}) == f"configuration: {NOT_READ}"


def test_an_empty_configuration_always_fits() -> None:
    Definition(id="fast").check({})
    in_json({"type": "text", "name": "title", "required": True}).check({})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["fieldset", "type", "name", "value", "label", "min", "max", "checked", "description"]),
            inner
            | st.sampled_from(["radio", "checkbox", "number", "true", "1e9"])
            | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["radio", "number"]), "name": inner})),
        )
    ),
)
HTML_TOKENS = [
    *("<input ", "<select>", "<option ", "</select>", "<label for=", "value=", "id=", "class=configField", "name=a"),
    *("type=radio ", "type=checkbox ", "type=number ", "min=", "checked ", ">", "<!", "<![", "<?", "&#", "'", '"'),
]
HTML_PIECES = st.lists(st.text(max_size=5) | st.sampled_from(HTML_TOKENS)).map("".join)


@given(st.text() | JSON_VALUES.map(json.dumps) | HTML_PIECES, st.none() | st.text() | HTML_PIECES, st.text())
def test_no_panel_crashes_the_options_or_the_check(panel_json: str, html: str | None, key: str) -> None:
    definition = Definition(id="fast", configuration_panel_json=panel_json, configuration_panel=html)
    options = definition.options
    assert len({option.name for option in options}) == len(options)
    for option in options:
        assert (option.type is CHOICE) == bool(option.choices)
    try:
        definition.check({key: "value"})
    except InvalidArgument:
        assert key not in {option.name for option in options if option.type is TEXT}
    else:
        assert options


# The check

FIELDS = in_json(
    {"type": "checkbox", "name": "publishLive"},
    {"type": "number", "name": "copies", "min": 1, "max": 25},
    {"type": "number", "name": "offset"},
    {"type": "text", "name": "title"},
    {"type": "radio", "name": "quality", "value": "low"},
    {"type": "radio", "name": "quality", "value": "high"},
)


@pytest.mark.parametrize(
    "configuration",
    [
        {"publishLive": True, "copies": 25, "title": "", "quality": "low", "offset": -0.5},
        {"publishLive": "FALSE", "copies": "1"},
        {"title": True},
    ],
)
def test_a_configuration_that_fits_passes(configuration: Any) -> None:
    FIELDS.check(configuration)


@pytest.mark.parametrize("key", ["publisLive", "publishlive", "publishLiv", "PublishLive"])
def test_an_unknown_key_is_refused_with_the_option_that_may_be_meant(key: str) -> None:
    fault = "is not an option of the definition 'fast': did you mean 'publishLive'?"
    assert refusal(FIELDS, {"title": "a", key: True}) == f"configuration[{key!r}]: {fault}"


@pytest.mark.parametrize("key", ["zzz", "z" * 1000])
def test_an_unknown_key_like_no_option_is_refused_with_a_list_of_them(key: str) -> None:
    assert refusal(FIELDS, {key: 1}).endswith(": use one of 'publishLive', 'copies', 'offset', 'title', 'quality'")
    many = in_json(*({"type": "text", "name": f"n{number}"} for number in range(12)))
    assert refusal(many, {key: 1}).endswith("'n8', 'n9' and 2 more")


def test_a_key_is_refused_if_the_panel_has_no_options() -> None:
    expected = "configuration['a']: is not an option of the definition 'fast', whose panel has no options: leave it out"
    assert refusal(in_html("<fieldset/>"), {"a": 1}) == expected
    assert refusal(in_html(""), {"a": 1}) == expected


@pytest.mark.parametrize(
    ("configuration", "fault"),
    [
        ({"publishLive": "secret"}, "must be True or False"),
        ({"publishLive": 1}, "must be True or False"),
        ({"copies": "secret"}, "must be a number"),
        ({"copies": True}, "must be a number"),
        ({"copies": "1_0"}, "must be a number"),
        ({"copies": 0}, "must be at least 1"),
        ({"copies": 25.5}, "must be at most 25"),
        ({"quality": "secret"}, "must be one of 'low', 'high'"),
        ({"title": None}, "must be a text, a number, True or False"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_repeating_it(configuration: Any, fault: str) -> None:
    (key,) = configuration
    assert refusal(FIELDS, configuration) == f"configuration[{key!r}]: {fault}"


def test_a_configuration_that_is_no_mapping_is_refused() -> None:
    assert refusal(FIELDS, [1]) == "configuration: must be a dict or another mapping of texts to values"
