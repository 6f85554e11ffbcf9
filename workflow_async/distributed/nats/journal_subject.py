"""One subject of a stream, whose messages are appended only by the process that appended the last one."""

import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import nats.js.errors
from attrs import define, field, frozen
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, Header, StreamConfig
from nats.js.errors import ConsumerSequenceMismatchError

from workflow_async.distributed.nats.broker_calls import TRANSIENT
from workflow_async.errors import JournalError
from workflow_async.settings import Clock

T = TypeVar("T")

REQUEST_TIMEOUT = 3.0
"""Seconds that one request to the broker may take before it is sent again."""
RETRY_DELAY = 0.1
AWAY = (*TRANSIENT, OSError, nats.errors.StaleConnectionError, ConsumerSequenceMismatchError)
"""Errors after which a request is repeated: also of a connection that has broken, and of messages that were lost."""
NO_MESSAGE = 10037
"""Error code of JetStream: the subject has no message."""
WRONG_SEQUENCE = 10071
"""Error code of JetStream: the last message has another sequence than expected."""
FETCHED = 500
"""Number of messages that are requested together."""
CONSUMER_LIFETIME = 60.0
"""Seconds after which the broker removes a consumer that is no longer used."""


class ShutOut(Exception):
    """Another process has appended a message since this process appended or saw the last one."""


@frozen
class LastMessage:
    """The last message of a subject."""

    sequence: int = 0
    """0 if there is none."""
    id: str = ""
    body: bytes = b""


@define(eq=False)
class FencedSubject:
    """A subject that one process appends to, until another process does."""

    client: Client
    stream: str
    subject: str
    name: str
    """The name in errors."""
    patience: float
    """Seconds for which requests are repeated while the broker cannot be reached."""
    clock: Clock
    sequence: int = field(default=0, init=False)
    """The sequence of the last message that this process has appended or seen."""
    _jetstream: JetStreamContext = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._jetstream = self.client.jetstream(timeout=REQUEST_TIMEOUT)

    async def make_stream(self, config: StreamConfig) -> None:
        """Make the stream, unless it exists. The configuration of an existing stream is not changed."""

        async def make() -> None:
            try:
                await self._jetstream.stream_info(self.stream)
            except nats.js.errors.NotFoundError:
                await self._jetstream.add_stream(config)

        await self._repeated(make)

    async def last(self) -> LastMessage:
        """Return the last message. The next `append` demands that it is still the last one."""
        last = await self._repeated(self._read_last)
        self.sequence = last.sequence
        return last

    async def append(self, body: bytes) -> None:
        """Append a message. Return when it is stored.

        An acknowledgement that is lost says nothing, so the last message is read then. It is this message, the one
        before it, or the message of another process.

        Raises:
            ShutOut: another process has appended a message.
            JournalError: the broker refuses the message, or cannot be reached.
        """
        id = uuid.uuid4().hex
        expected = str(self.sequence)
        headers = {Header.MSG_ID.value: id, Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: expected}

        async def attempt() -> int:
            try:
                stored = await self._jetstream.publish(self.subject, body, stream=self.stream, headers={**headers})
            except (*TRANSIENT, nats.js.errors.BadRequestError) as error:
                failure = error
            else:
                return stored.seq
            last = await self._read_last()
            if last.id == id:
                return last.sequence
            if last.sequence == self.sequence:
                raise failure  # nothing was stored, so it can be sent again
            if last.sequence > self.sequence:
                raise ShutOut
            raise JournalError(self.name, "its last messages are missing from the stream. Restore the stream")

        self.sequence = await self._repeated(attempt)

    async def read(self) -> list[bytes]:
        """Return all messages up to the last one that was appended or seen."""
        return await self._repeated(self._read_all) if self.sequence else []

    async def _read_last(self) -> LastMessage:
        try:
            found = await self._jetstream.get_msg(self.stream, subject=self.subject)
        except nats.js.errors.NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return LastMessage()
            raise
        return LastMessage(found.seq or 0, (found.headers or {}).get(Header.MSG_ID, ""), found.data or b"")

    async def _read_all(self) -> list[bytes]:
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=CONSUMER_LIFETIME)
        messages = await self._jetstream.pull_subscribe(self.subject, stream=self.stream, config=config)
        try:
            received: list[Msg] = []
            while not received or received[-1].metadata.sequence.stream < self.sequence:
                received += await messages.fetch(FETCHED, timeout=REQUEST_TIMEOUT)
        finally:
            await messages.unsubscribe()
        last = received[-1].metadata.sequence
        if last.consumer != len(received):
            raise ConsumerSequenceMismatchError(last.stream, len(received), last.consumer)  # some were lost on the way
        return [message.data for message in received if message.metadata.sequence.stream <= self.sequence]

    async def _repeated(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a request. Repeat it while the broker cannot be reached."""
        end = self.clock.now() + self.patience
        while True:
            try:
                return await request()
            except (nats.errors.Error, OSError) as error:
                failure = error
            if self.client.is_closed:
                raise self._error("the NATS client is closed. Connect it again, then run the batch again", failure)
            if not _is_transient(failure):
                why = f"the broker has refused a request: {failure}. Correct the cause, then run the batch again"
                raise self._error(why, failure)
            if self.clock.now() >= end:
                why = f"the broker has not answered for {self.patience:g} s ({type(failure).__name__})"
                raise self._error(f"{why}. Run the batch again when it does, and check its stream", failure)
            await self.clock.sleep(RETRY_DELAY)

    def _error(self, why: str, cause: Exception) -> JournalError:
        error = JournalError(self.name, why)
        error.__cause__ = cause
        return error


def _is_transient(error: Exception) -> bool:
    """Return True if a repetition may succeed. A replica may refuse a sequence before its leader has stored it."""
    refused = isinstance(error, nats.js.errors.APIError) and error.err_code == WRONG_SEQUENCE
    return refused or isinstance(error, AWAY)
