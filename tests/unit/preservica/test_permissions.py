"""A refused call of a Preservica says what is known of the permission that it needs."""

from collections.abc import Awaitable, Callable

import pytest

from workflow_async.errors import Forbidden, StartForbidden
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import CannedResponse, Faults
from workflow_async.sandbox.systems import FakePreservica

Make = Callable[[PreservicaClient], Awaitable[object]]
WORKFLOWS = "the Enterprise edition and a role for workflows, which Preservica does not document"
REFUSAL = CannedResponse(403, '{"success": false, "message": "Access is denied"}', "application/json")


@pytest.mark.parametrize(
    ("needs", "make"),
    [
        (WORKFLOWS, lambda pv: pv.workflows.get(7)),
        (WORKFLOWS, lambda pv: pv.workflows.list().first()),
        (WORKFLOWS, lambda pv: pv.workflows.count()),
        (WORKFLOWS, lambda pv: pv.workflows.retry(7)),
        (WORKFLOWS, lambda pv: pv.contexts.list().first()),
        ("a role for ingest processes, which Preservica does not document", lambda pv: pv.processes.activate("a")),
        ("a role for process monitors, which Preservica does not document", lambda pv: pv.monitors.list().first()),
        ("a role for process monitors, which Preservica does not document", lambda pv: pv.monitors.timeseries("a")),
    ],
)
async def test_a_refused_call_says_what_it_needs(
    needs: str, make: Make, archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.contexts.list().first()  # logs in
    archive.faults = Faults(rates={REFUSAL: 1.0}, paths=("/sdb/", "/api/process"))
    with pytest.raises(Forbidden, match=f"this call needs {needs}$") as caught:
        await make(pv)
    assert (caught.value.role, caught.value.access) == ("", needs)


async def test_a_refused_start_says_so_too(archive: FakePreservica, pv: PreservicaClient) -> None:
    await pv.contexts.list().first()
    archive.faults = Faults(rates={REFUSAL: 1.0}, paths=("/sdb/", "/api/process"))
    with pytest.raises(StartForbidden, match="Enterprise edition"):
        await pv.workflows.start(42)
