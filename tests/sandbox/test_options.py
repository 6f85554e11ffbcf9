"""Options of the sandbox, used by a real client."""

import anyio.lowlevel

from workflow_async import Clock, PreservicaClient
from workflow_async.sandbox import ManualClock, Sandbox

SEED = "JBSWY3DPEHPK3PXP"


async def test_every_option_of_preservica_works_with_a_client() -> None:
    clock = ManualClock()
    unusual = Sandbox(
        clock=clock, token_minutes=1, two_factor=SEED, page_cap=7, sparse=True, refresh_works=False, codes_once=True
    )
    with unusual as sandbox:
        preservica = sandbox.preservica
        preservica.seed(20)
        async with PreservicaClient(
            preservica.url,
            username=preservica.username,
            password=preservica.password,
            tenant=preservica.tenant,
            two_factor=SEED,
            clock=_clock(clock),
        ) as pv:
            sizes = [len(page.items) async for page in pv.workflows.list().pages()]
            preservica.revoke()
            assert await pv.workflows.list(limit=1).first() is not None
        assert sizes == [7, 7, 6]
        assert preservica.logins == 2


def _clock(clock: ManualClock) -> Clock:
    """Return a client's clock on the sandbox's time. Time passes when the client sleeps."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await anyio.lowlevel.checkpoint()

    return Clock(now=clock, sleep=sleep, wall=clock)
