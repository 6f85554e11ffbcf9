"""Writes records to a subject: records that wait while a message is sent go into the next message together."""

from collections.abc import Sequence

import anyio
from attrs import define, field

from workflow_async.distributed.nats.journal_messages import MessageHead, encode, grouped
from workflow_async.distributed.nats.journal_subject import FencedSubject, ShutOut
from workflow_async.errors import JournalError

MESSAGE_SIZE = 256 * 2**10
"""The bytes of records in a message, unless one record is larger. The usual limit of a broker is 1 MiB."""

HEADER_SIZE = 200
"""Bytes of the headers of a message, at most. The broker counts them too."""


@define(eq=False)
class _Group:
    """Records that are written together."""

    records: list[str] = field(factory=list)
    began: float | None = None
    """The time at which their writing began. None until they are stored."""


@define(eq=False)
class JournalWriter:
    """Writes the records of one run, in the order in which they are given."""

    subject: FencedSubject
    system: str
    server: str
    runner: str
    number: int
    """The number of the last message."""
    _waiting: _Group = field(factory=_Group, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    usable: bool = field(default=True, init=False)
    """False after a failed or cancelled write."""

    async def write(self, records: Sequence[str]) -> float:
        """Write records. Return when they are stored, with the time at which their writing began.

        Raises:
            JournalError: another run has opened the journal, or an earlier write failed.
        """
        group = self._waiting
        group.records.extend(records)
        async with self._lock:
            return group.began if group.began is not None else await self._store(group)

    async def _store(self, group: _Group) -> float:
        """Send a group of records. Return the time at which this began."""
        self._waiting = _Group()
        began = self.subject.clock.now()
        await self._send(group.records)
        group.began = began
        return began

    async def _send(self, records: Sequence[str]) -> None:
        """Send records. After a failed or cancelled write, nothing else is written."""
        if not self.usable:
            why = "an earlier write failed. Correct its cause, then run the batch again"
            raise JournalError(self.subject.name, why)
        self.usable = False
        for group in grouped(records, min(MESSAGE_SIZE, self.subject.client.max_payload // 2)):
            head = MessageHead(system=self.system, server=self.server, number=self.number + 1, runner=self.runner)
            await self._append(encode(head, group))
            self.number += 1
        self.usable = True

    async def _append(self, body: bytes) -> None:
        size, limit = len(body) + HEADER_SIZE, self.subject.client.max_payload
        if size > limit:
            why = f"an entry needs {size} bytes, and the broker accepts {limit}. Raise max_payload of the broker"
            raise JournalError(self.subject.name, why)
        try:
            await self.subject.append(body)
        except ShutOut:
            why = "another run uses it, so this run has ended. Let one run use it at a time"
            raise JournalError(self.subject.name, why) from None
