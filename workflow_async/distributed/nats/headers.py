"""Writes the entry of a shard into message headers, so that workers can follow entries without their watches. Pure."""

from collections.abc import Mapping

from workflow_async.distributed.nats.shard_view import ShardEntry

OWNER = "Workflow-Owner"
WRITER = "Workflow-Writer"
WRITE = "Workflow-Write"
FINISHED = "Workflow-Finished"
EVENT = "Workflow-Event"
"""The class of an event, such as `Change`."""
KV_OPERATION = "KV-Operation"
"""Set by NATS in the marker of a deleted key."""
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"


def headers_of(entry: ShardEntry, expected: int) -> dict[str, str]:
    """Return the headers of a write that is refused unless `expected` is the newest revision of the shard.

    Args:
        entry: what to write. Its revision is not known yet.
        expected: the revision that it replaces, 0 for a new shard.
    """
    finished = {FINISHED: "true"} if entry.finished else {}
    return {EXPECTED: str(expected), OWNER: entry.owner, WRITER: entry.writer, WRITE: str(entry.write), **finished}


def entry_of(shard: str, revision: int, headers: Mapping[str, str] | None) -> ShardEntry | None:
    """Return the entry of a message. None if the shard was deleted."""
    found = headers or {}
    if KV_OPERATION in found:
        return None
    return ShardEntry(
        shard=shard,
        revision=revision,
        owner=found.get(OWNER, ""),
        finished=FINISHED in found,
        writer=found.get(WRITER, ""),
        write=int(found.get(WRITE, "0")),
    )
