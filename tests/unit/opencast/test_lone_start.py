"""A single start of unknown outcome on an Opencast without a list of workflows: its date of creation decides."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from attrs import define, field

from tests.conftest import FakeTime
from workflow_async import Clock, OpencastClient, Retry
from workflow_async.batch import Ambiguous, NoStartFound, StartFound
from workflow_async.errors import StartOutcomeUnknown

NOW = datetime(2026, 11, 28, 3, 39, tzinfo=UTC)
PARIS = timezone(timedelta(hours=1))


@define
class Server:
    """An Opencast 16 that carries out a start and responds with an error."""

    created: Any
    """The date of creation in its records."""
    rows: list[dict[str, Any]] = field(factory=list)
    posts: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.posts += 1
            self.rows.append(self.row(637217, self.created))
            return httpx.Response(500, text="out of order")
        if request.url.path == "/workflow/mediaPackage/num-1/instances.json":
            single = len(self.rows) == 1
            return httpx.Response(200, json={"workflows": {"workflow": self.rows[0] if single else self.rows}})
        if request.url.path == "/api/version":
            return httpx.Response(200, json={"default": "v1.11.0", "versions": ["v1.11.0"]})
        return httpx.Response(200, json={"url": "https://oc", "version": "v1.11.0"})

    def row(self, id: int, created: Any) -> dict[str, Any]:
        """Return a workflow whose texts look like numbers and booleans."""
        named = {"template": "fast", "title": 1984, "description": True, "creator-id": 20481234}
        return {
            "id": id,
            "state": "RUNNING",
            "dateCreated": created,
            "operations": "",
            "mediaPackageId": "num-1",
            **named,
        }


async def reconciled(server: Server, fake_time: FakeTime) -> Any:
    """Send a start that is carried out and gets a 500, and return the result of its search."""
    fake = fake_time.clock
    clock = Clock(now=fake.now, sleep=fake.sleep, jitter=fake.jitter, wall=NOW.timestamp)
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(server)) as http_client,
        OpencastClient(
            "http://127.0.0.1", auth=("a", "b"), clock=clock, http=http_client, retry=Retry(attempts=1)
        ) as oc,
    ):
        with pytest.raises(StartOutcomeUnknown) as caught:
            await oc.workflows.start("num-1", "fast")
        found = await oc.workflows.reconcile(caught.value.ticket, wait=5)
    assert server.posts == 1
    return found


SOON = NOW + timedelta(seconds=3, milliseconds=434)


@pytest.mark.parametrize(
    "created",
    [
        SOON.astimezone(PARIS).isoformat(timespec="milliseconds"),
        SOON.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        SOON.astimezone(timezone(timedelta(hours=-11, minutes=-30))).isoformat(timespec="milliseconds"),
        round(SOON.timestamp() * 1000),
    ],
)
async def test_a_start_is_found_by_its_date_of_creation_in_any_time_zone(created: Any, fake_time: FakeTime) -> None:
    found = await reconciled(Server(created), fake_time)
    assert isinstance(found, StartFound)
    assert (found.workflow.id, found.workflow.title, found.workflow.creator) == (637217, "1984", "20481234")
    assert found.workflow.created == SOON
    assert fake_time.naps == []


async def test_an_older_workflow_is_not_that_of_the_start(fake_time: FakeTime) -> None:
    """The local time of its date is later than the current UTC time."""
    old = (NOW - timedelta(minutes=30)).astimezone(PARIS).isoformat()
    assert isinstance(await reconciled(Server(old), fake_time), NoStartFound)


@pytest.mark.parametrize("created", [None, "yesterday", 1.5])
async def test_without_a_readable_date_of_creation_the_result_is_ambiguous(created: Any, fake_time: FakeTime) -> None:
    found = await reconciled(Server(created), fake_time)
    assert isinstance(found, Ambiguous)
    assert [workflow.id for workflow in found.candidates] == [637217]
