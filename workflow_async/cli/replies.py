"""Remembers what the last response says about the server's clock."""

import time
from email.utils import parsedate_to_datetime

from attrs import define

from workflow_async.observe.messages import Reply, Request, Send


@define
class ReplyLog:
    """A middleware that compares the Date of each response with the clock of this machine."""

    clock_offset: float | None = None
    """Seconds that the server's clock is ahead, by the last response. None if no response had a readable date."""

    async def __call__(self, request: Request, send: Send) -> Reply:
        """Send a request, and read the Date of its response."""
        before = time.time()
        reply = await send(request)
        try:
            date = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except ValueError:
            self.clock_offset = None
        else:
            self.clock_offset = date - (before + time.time()) / 2
        return reply


def offset_text(offset: float | None) -> str:
    """Return how far the server's clock is from that of this machine. A Date header has whole seconds."""
    if offset is None:
        return "not known: the responses have no date"
    seconds = round(abs(offset))
    if seconds <= CLOCK_TOLERANCE:
        return f"within {CLOCK_TOLERANCE} s of this machine"
    return f"{seconds} s {'ahead of' if offset > 0 else 'behind'} this machine: check both clocks"


CLOCK_TOLERANCE = 2
"""Seconds that count as no difference."""
