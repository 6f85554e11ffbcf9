"""The requests for events as values, without event loop and socket."""

import pytest

from workflow_async.errors import InvalidArgument
from workflow_async.opencast import event_calls


@pytest.mark.parametrize("hostile", ["", ".", "..", "a/b", "a%2fb", "a?b", "a\\b", "a#b"])
def test_an_events_id_is_one_segment_of_the_path(hostile: str) -> None:
    assert event_calls.workflows_of_event("e-1").path == "/workflow/mediaPackage/e-1/instances.json"
    with pytest.raises(InvalidArgument):
        event_calls.workflows_of_event(hostile)


@pytest.mark.parametrize(
    ("event", "quoted"),
    [
        ("a;b", "a%3Bb"),
        (";", "%3B"),
        (";jsessionid=1", "%3Bjsessionid%3D1"),
        ("track-1_2.3:4;(5)", "track-1_2.3%3A4%3B%285%29"),
    ],
)
def test_every_character_of_an_events_id_is_quoted_correctly(event: str, quoted: str) -> None:
    assert event_calls.workflows_of_event(event).path == f"/workflow/mediaPackage/{quoted}/instances.json"


def test_events_are_requested_by_filter_and_paged() -> None:
    call = event_calls.list_events(filter="status:EVENTS.EVENTS.STATUS.PROCESSING", sort="title:ASC", size=50)
    assert call.params == (
        ("filter", "status:EVENTS.EVENTS.STATUS.PROCESSING"),
        ("sort", "title:ASC"),
        ("limit", "50"),
        ("offset", "0"),
    )
