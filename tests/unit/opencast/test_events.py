"""The list of events over a socket: filters, pages, roles, and many ids."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.opencast.conftest import Connect
from workflow_async import OpencastClient
from workflow_async.errors import Forbidden, InvalidArgument
from workflow_async.opencast import State
from workflow_async.sandbox import ManualClock, Sandbox

INTEGRATION = ("integration", "integration")
every_release = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)


async def listed(oc: OpencastClient, **arguments: Any) -> list[str]:
    return [event.id async for event in oc.events.list(**arguments)]


@every_release
async def test_a_user_without_admin_lists_events_by_status_id_series_text_and_date(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    known = {"subject": "", "description": "", "series_title": ""}
    first = sandbox.opencast.event(title="Optics", creator="Ada; Emmy", series="s-1", created=1.6e9, **known)
    second = sandbox.opencast.event(title="Law", creator="Grace", series="s-2", created=1.7e9, **known)
    sandbox.opencast.start(second, "review")
    time.advance(60)
    async with connect(auth=INTEGRATION) as oc:
        assert await listed(oc, status="paused") == await listed(oc, status="EVENTS.EVENTS.STATUS.PAUSED") == [second]
        assert await listed(oc, identifier=[second, "unknown"]) == await listed(oc, title="Law") == [second]
        assert await listed(oc, identifier=first) == await listed(oc, series_id="s-1") == [first]
        assert await listed(oc, text_filter="PTIC unheard-of") == await listed(oc, presenter=["Emmy", "X"]) == [first]
        assert await listed(oc, title="Opt") == await listed(oc, title="optics") == []
        assert await listed(oc, start="2020-09-01T00:00:00Z/2020-10-01T00:00:00Z") == [first]
        assert await listed(oc, created=datetime.fromtimestamp(1.7e9, UTC)) == [second]
        assert await listed(oc, sort="start:desc") == [second, first]
        assert await listed(oc, sort="title:asc", offset=1) == [first]
        assert await listed(oc, sort="title:asc", limit=1) == [second]


async def test_an_event_shows_what_the_server_documents(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = sandbox.opencast.event(title="Optics", creator="Ada; Emmy", series="s", series_title="Winter", created=1.6e9)
    sandbox.opencast.start(id, "fast")
    event = await oc.events.list(identifier=id).first()
    assert event is not None
    assert (event.status, event.processing_state) == ("EVENTS.EVENTS.STATUS.PENDING", State.INSTANTIATED)
    assert (event.series, event.series_title, event.presenters) == ("s", "Winter", ("Ada", "Emmy"))
    assert event.start == event.created == datetime.fromtimestamp(1.6e9, UTC)
    assert (event.duration, event.location) == (2700.0, "hall-1")


async def test_more_ids_than_a_url_takes_are_sent_in_several_requests(sandbox: Sandbox, connect: Connect) -> None:
    ids = [sandbox.opencast.event() for _ in range(400)]
    async with connect(auth=INTEGRATION) as oc:
        found = await listed(oc, identifier=[*ids, "unknown", *ids])
        requests = [r for r in sandbox.opencast.requests if r.path == "/api/events"]
        assert (sorted(found), len(requests)) == (sorted(ids), 3)
        assert len(await listed(oc, identifier=ids, limit=3)) == 3
        assert await listed(oc, identifier=ids, status="processing") == []
        with pytest.raises(InvalidArgument, match="offset"):
            oc.events.list(identifier=ids, offset=1)
        with pytest.raises(InvalidArgument, match="sort"):
            oc.events.list(identifier=ids, sort="title:asc")


async def test_a_refusal_names_the_role(connect: Connect) -> None:
    async with connect(auth=("viewer", "viewer")) as oc:
        with pytest.raises(Forbidden, match="ROLE_API_EVENTS_VIEW") as caught:
            await oc.events.list().first()
        assert caught.value.role == "ROLE_API_EVENTS_VIEW"


@pytest.mark.parametrize("argument", ["limit", "page_size", "ahead"])
def test_a_number_that_makes_no_sense_is_refused(connect: Connect, argument: str) -> None:
    wrong: dict[str, Any] = {argument: 0}
    with pytest.raises(InvalidArgument, match=argument):
        connect().events.list(**wrong)
