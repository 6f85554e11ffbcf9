from workflow_async import Clock, PreservicaClient
from workflow_async.sandbox import ManualClock, Sandbox


async def test_a_preservica_can_be_asked_to_be_awkward() -> None:
    awkward = Sandbox(
        clock=ManualClock(),
        token_minutes=1,
        two_factor="JBSWY3DPEHPK3PXP",
        page_cap=7,
        sparse=True,
        refresh_works=False,
    )
    with awkward as sandbox:
        there = sandbox.preservica
        there.seed(20)
        async with PreservicaClient(
            there.url,
            username=there.username,
            password=there.password,
            tenant=there.tenant,
            two_factor="JBSWY3DPEHPK3PXP",
            clock=_clock(sandbox),
        ) as pv:
            sizes = [len(page.items) async for page in pv.workflows.list().pages()]
            there.revoke()
            assert await pv.workflows.list(limit=1).first() is not None
        assert sizes == [7, 7, 6]
        assert there.logins == 2


def _clock(sandbox: Sandbox) -> Clock:
    return Clock(wall=sandbox.clock)
