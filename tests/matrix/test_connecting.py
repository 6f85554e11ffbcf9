"""Rows 1 to 8: faults before and while a connection comes about."""

import pytest

from tests.conftest import FakeTime, See
from tests.core.wire import GET, POST, connected, refused_url
from workflow_async.errors import ConnectFailed


@pytest.mark.row(1)
async def test_a_refused_connection_is_tried_again_and_a_start_has_not_happened(fake_time: FakeTime, see: See) -> None:
    async with connected(refused_url(), fake_time.clock) as transport:
        with pytest.raises(ConnectFailed) as got:
            await transport.send(GET)
        with pytest.raises(ConnectFailed) as start:
            await transport.send(POST)
    assert (got.value.attempts, start.value.attempts, start.value.sent) == (4, 1, False)
    see("get: 4 attempts, ConnectFailed; start: 1 attempt, not sent")
