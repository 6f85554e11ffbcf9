"""A journal in a stream of NATS JetStream, which survives the machine of the batch."""

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio.lowlevel
from attrs import Attribute, define, field
from nats.aio.client import Client
from nats.js.api import StorageType, StreamConfig

from workflow_async.batch.entries import Entry, JournalContents, StartStatus, StatusKind
from workflow_async.batch.tickets import Ticket
from workflow_async.distributed.nats import journal_messages as messages
from workflow_async.distributed.nats.journal_clock import CLOCK
from workflow_async.distributed.nats.journal_messages import Contents, Message
from workflow_async.distributed.nats.journal_subject import FencedSubject, LastMessage
from workflow_async.distributed.nats.journal_writer import JournalWriter
from workflow_async.errors import InvalidArgument, JournalError
from workflow_async.settings import Clock

NAME = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
TAKEOVER = 1.5
"""A new run waits this many leases, so a start may be half a lease on its way from the check to the network."""
MAX_REPLICAS = 5
YIELD_EVERY = 100
"""Yield to other tasks after reading this many messages."""


def _checked_name(_: object, attribute: "Attribute[Any]", value: str) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidArgument(attribute.name, "must be 1 to 200 letters, digits, hyphens or underscores")


def _above_0(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InvalidArgument(attribute.name, "must be a finite number above 0")


def _a_number_of_replicas(_: object, attribute: "Attribute[Any]", value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_REPLICAS:
        raise InvalidArgument(attribute.name, f"must be a whole number from 1 to {MAX_REPLICAS}")


def _connected(_: object, attribute: "Attribute[Any]", value: Client) -> None:
    if not isinstance(value, Client):
        raise InvalidArgument(attribute.name, "must be a client of nats-py: await nats.connect(…)")


@define(eq=False)
class NatsJournal:
    """A journal for `run_all` in a stream of NATS JetStream, which any machine can continue.

    One run at a time uses a journal. A run that opens it shuts out the run before it, whose next write is refused, so
    that the run ends with a `JournalError` before it sends its next start. Let nothing else write to the stream, and
    give it no limit of age or size.

    A run that was stopped, such as a paused virtual machine, may go on at any time. It sends a start only within
    `lease` seconds of the moment at which it began to write the start's entry. If the run before it has not closed the
    journal and left starts that may be about to be sent, `open` waits 1.5 leases before it returns. Such a start is
    then searched for, as after a crash.

    The NATS client stays open, and must belong to the event loop of the batch.
    """

    client: Client = field(repr=False, validator=_connected)
    """A connected client of nats-py."""
    name: str = field(validator=_checked_name)
    """The name of the batch."""
    stream: str = field(default="WORKFLOW_BATCHES", validator=_checked_name, kw_only=True)
    """The stream, which holds any number of batches. It is made if it does not exist."""
    replicas: int = field(default=1, validator=_a_number_of_replicas, kw_only=True)
    """The number of brokers that store a new stream."""
    lease: float = field(default=10.0, validator=_above_0, kw_only=True)
    """Seconds in which a start must be sent after its entry. A start that is late is written and tried again."""
    patience: float = field(default=60.0, validator=_above_0, kw_only=True)
    """Seconds for which a request is repeated while the broker cannot be reached."""
    clock: Clock = field(default=CLOCK, repr=False, kw_only=True)
    """Measures `lease` and `patience`. The default counts the time in which the machine sleeps."""
    _writer: JournalWriter | None = field(default=None, init=False, repr=False)
    _total: int | None = field(default=None, init=False, repr=False)
    _opening: bool = field(default=False, init=False, repr=False)

    async def open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        """Shut out the run before this one, and return the status of each start.

        Raises:
            JournalError: another run is opening the journal, the journal is of another system or server, a message is
                missing, or the broker refuses a request or cannot be reached.
        """
        if self._opening or self._writer is not None:
            raise JournalError(self._title, "a batch of this process has it open. Make another NatsJournal")
        self._opening = True
        try:
            return await self._open(system, server)
        finally:
            self._opening = False

    async def plan(self, tickets: Sequence[Ticket], total: int | None) -> None:
        """Add starts that have not begun, and the total number of starts. Return when both are stored."""
        records = [messages.start_record(ticket) for ticket in tickets]
        if total != self._total:
            records.append(messages.total_record(total))
        if records:
            await self._opened.write(records)
            self._total = total

    async def write(self, entry: Entry) -> Callable[[], bool] | None:
        """Add an entry. Return when it is stored, with a function that returns True while its start may be sent."""
        record = messages.entry_record(entry)  # made before the clock starts
        end = await self._opened.write([record]) + self.lease
        return (lambda: self.clock.now() < end) if entry.kind is StatusKind.INTENT else None

    async def close(self) -> None:
        """Record that no more starts are sent, so that the next run need not wait."""
        writer, self._writer = self._opened, None
        if writer.usable:
            await writer.write([messages.CLOSED])

    async def read(self) -> JournalContents:
        """Return what the journal holds, even while a batch writes to it. Nothing is shut out.

        Raises:
            JournalError: the journal does not exist, it cannot be read, or the broker cannot be reached.
        """
        subject = self._subject()
        last = self._decoded(await subject.last())
        if last is None:
            raise JournalError(self._title, "it does not exist. Check its name and its stream")
        contents = await self._contents(await subject.read())
        return JournalContents(last.head.system, last.head.server, contents.items, contents.total)

    @property
    def _title(self) -> str:
        return f"{self.name} in the stream {self.stream}"

    @property
    def _opened(self) -> JournalWriter:
        if self._writer is None:
            raise JournalError(self._title, "it is not open. Give it to run_all, which opens it")
        return self._writer

    def _subject(self) -> FencedSubject:
        subject = f"{self.stream}.{self.name}"
        return FencedSubject(self.client, self.stream, subject, self._title, self.patience, self.clock)

    async def _open(self, system: str, server: str) -> Mapping[str, StartStatus]:
        subject = self._subject()
        await subject.make_stream(self._stream_config())
        last = self._decoded(await subject.last())
        if last is not None and (last.head.system, last.head.server) != (system, server):
            why = f"it is for {last.head.system} at {last.head.server}, not {system} {server}. Use another name"
            raise JournalError(self._title, why)
        writer = JournalWriter(subject, system, server, _this_process(), last.head.number if last is not None else 0)
        await writer.write([messages.OPENED])
        contents = await self._contents(await subject.read())
        if last is not None and not last.closes and any(map(_may_be_sent, contents.items.values())):
            await self.clock.sleep(TAKEOVER * self.lease)
        self._writer, self._total = writer, contents.total
        return contents.items

    def _stream_config(self) -> StreamConfig:
        return StreamConfig(
            name=self.stream, subjects=[f"{self.stream}.*"], storage=StorageType.FILE, num_replicas=self.replicas
        )

    def _decoded(self, last: LastMessage) -> Message | None:
        try:
            return messages.decode(last.body) if last.sequence else None
        except ValueError as error:
            raise self._damaged(error) from None

    async def _contents(self, bodies: Iterable[bytes]) -> Contents:
        contents = Contents()
        try:
            for message in messages.checked_numbers(bodies):
                for record in message.records:
                    contents.add(record)
                if message.head.number % YIELD_EVERY == 0:
                    await anyio.lowlevel.checkpoint()
        except ValueError as error:
            raise self._damaged(error) from None
        return contents

    def _damaged(self, error: ValueError) -> JournalError:
        remedy = "Check on the server what was started, and use another name for the rest"
        return JournalError(self._title, f"it is damaged or incomplete: {error}. {remedy}")


def _may_be_sent(status: StartStatus) -> bool:
    """Return True for a start that a run before this one may be about to send."""
    return status.kind is StatusKind.INTENT


def _this_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"
