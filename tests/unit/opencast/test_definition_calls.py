"""The requests for definitions as values, without event loop and socket."""

import pytest

from workflow_async.errors import InvalidArgument
from workflow_async.opencast import definition_calls, params


@pytest.mark.parametrize("hostile", ["", ".", "..", "a/b", "a%2fb", "a?b", "a\\b", "a#b"])
def test_a_definitions_id_is_one_segment_of_the_path(hostile: str) -> None:
    assert definition_calls.get_definition("my flow").path == "/api/workflow-definitions/my%20flow"
    with pytest.raises(InvalidArgument):
        definition_calls.get_definition(hostile)


def test_a_semicolon_in_a_definitions_id_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="/ .* ; % "):
        definition_calls.get_definition("a;b")


def test_definitions_are_requested_without_a_limit_unless_one_is_given() -> None:
    assert definition_calls.list_definitions(filter="", sort="", include=(), limit=None).params == ()
    include = params.including(withconfigurationpaneljson=True)
    limited = definition_calls.list_definitions(filter="tag:x", sort="title:ASC", include=include, limit=5)
    assert limited.params == (
        ("filter", "tag:x"),
        ("sort", "title:ASC"),
        ("limit", "5"),
        ("withconfigurationpaneljson", "true"),
    )
