"""The raw answer, over a socket against the sandbox."""

import json
from typing import Any

import pytest

from tests.support.loopback_system import LoopbackSystem, loopback_system
from workflow_async._decode.xml import xml_tree

each_system = pytest.mark.parametrize("kind", ["11", "preservica"])


def id_in(raw: Any) -> int:
    """Return the id that a raw answer holds."""
    return int(raw["identifier"] if isinstance(raw, dict) else xml_tree(raw)["Id"])


def seed(loopback: LoopbackSystem) -> None:
    loopback.system.seed(60, age=60.0)


@each_system
async def test_a_workflow_that_is_read_with_its_raw_answer_equals_one_without(kind: str) -> None:
    async with loopback_system(kind) as loopback, loopback.client() as client:
        seed(loopback)
        first = await client.workflows.list().first()
        kept, bare = await client.workflows.get(first.id, keep_raw=True), await client.workflows.get(first.id)
        assert (first.raw, bare.raw) == (None, None)
        assert kept == bare
        assert id_in(kept.raw) == kept.id


@each_system
@pytest.mark.parametrize("consistency", ["fast", "anchored", "partitioned"])
async def test_each_row_of_a_listing_holds_its_own_raw_answer(kind: str, consistency: str) -> None:
    async with loopback_system(kind) as loopback, loopback.client() as client:
        seed(loopback)
        options: dict[str, Any] = {"consistency": consistency, "page_size": 20}
        kept = [workflow async for workflow in client.workflows.list(keep_raw=True, **options)]
        assert len(kept) == 60
        assert [id_in(workflow.raw) for workflow in kept] == [workflow.id for workflow in kept]
        assert kept == [workflow async for workflow in client.workflows.list(**options)]


async def test_the_raw_row_has_what_was_requested_and_no_more() -> None:
    async with loopback_system("11") as loopback, loopback.client() as oc:
        seed(loopback)
        bare = await oc.workflows.list(keep_raw=True).first()
        full = await oc.workflows.get(bare.id, with_operations=True, keep_raw=True)
        assert "operations" not in bare.raw
        assert [each["operation"] for each in full.raw["operations"]] == [each.operation for each in full.operations]
        json.dumps(full.raw)


async def test_definitions_hold_their_raw_answer_in_any_order() -> None:
    async with loopback_system("16") as loopback, loopback.client() as oc:
        for sort in (None, "title:asc", ["title:asc", "identifier:desc"]):
            kept = [each async for each in oc.definitions.list(sort=sort, keep_raw=True)]
            assert kept
            assert [each.raw["identifier"] for each in kept] == [each.id for each in kept]
        one = await oc.definitions.get("fast", keep_raw=True)
        assert one.raw["identifier"] == "fast"
        assert (await oc.definitions.get("fast")).raw is None


async def test_contexts_hold_their_element() -> None:
    async with loopback_system("preservica") as loopback, loopback.client() as pv:
        kept = [context async for context in pv.contexts.list(keep_raw=True)]
        assert kept
        assert [xml_tree(context.raw)["Id"] for context in kept] == [context.id for context in kept]
        assert [context.raw async for context in pv.contexts.list()] == [None] * len(kept)
