"""The records of what a start sends: checked when they are made, and once."""

from typing import Any

import pytest

from workflow_async.batch.start_records import OpencastStart, PreservicaStart, start_record
from workflow_async.errors import InvalidArgument

OPENCAST: dict[str, Any] = {"event_id": "e", "definition_id": "fast", "configuration": None}
PRESERVICA: dict[str, Any] = {"context_id": "42", "context_name": "Ingest", "parameters": None}


def test_values_become_the_texts_that_are_sent() -> None:
    start = OpencastStart(event_id="e", definition_id="fast", configuration={"publish": True, "n": 3})
    assert start.configuration == {"publish": "true", "n": "3"}
    assert PreservicaStart(**{**PRESERVICA, "parameters": {"n": 1.5}}).parameters == {"n": "1.5"}


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "\ud800"}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"definition_id": " "}, "definition_id"),
        ({"definition_id": 7}, "definition_id"),
        ({"configuration": {"n": None}}, r"configuration\['n'\]"),
        ({"configuration": ["n"]}, "configuration"),
    ],
)
def test_what_an_opencast_cannot_be_sent_is_refused(changes: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: must"):
        OpencastStart(**{**OPENCAST, **changes})


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"context_id": None, "context_name": None}, "context"),
        ({"context_id": 42}, "context"),
        ({"context_name": " "}, "context"),
        ({"context_name": "a\x00b"}, "context"),
        ({"parameters": {"n": None}}, r"parameters\['n'\]"),
        ({"parameters": {"n": "\x1b"}}, r"parameters\['n'\]"),
        ({"parameters": {"\x1b": "n"}}, "parameters"),
    ],
)
def test_what_a_preservica_cannot_be_sent_is_refused(changes: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: must"):
        PreservicaStart(**{**PRESERVICA, **changes})


def test_a_record_is_made_from_its_system_and_its_fields() -> None:
    assert start_record("opencast", OPENCAST) == OpencastStart(**OPENCAST)
    assert start_record("preservica", PRESERVICA) == PreservicaStart(**PRESERVICA)


def test_an_unknown_system_and_fields_of_another_system_make_no_record() -> None:
    with pytest.raises(ValueError, match="unknown system 'kitodo'"):
        start_record("kitodo", OPENCAST)
    with pytest.raises(TypeError):
        start_record("preservica", OPENCAST)


def test_values_are_not_part_of_the_repr() -> None:
    secret = "geheim"
    assert secret not in repr(OpencastStart(**{**OPENCAST, "configuration": {"key": secret}}))
    assert secret not in repr(PreservicaStart(**{**PRESERVICA, "parameters": {"key": secret}}))
